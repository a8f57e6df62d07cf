"""Samples in their words: unused bits, left-aligned samples and signs in every kind of transfer syntax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicom_bytes import fragments, write_encapsulated
from image_files import dicom_dataset, grey, read_all, read_one

SAMPLES = np.array([[0, 1024, 2048, 4095]] * 4, dtype=np.uint16)
GREY = [[0, 64, 128, 255]] * 4
"""LINEAR with centre 2048, width 4096: (x - 2047.5) / 4095 + 0.5 of 255."""
WINDOW: dict[str, Any] = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096}
NOISE = np.random.default_rng(1).integers(1, 16, SAMPLES.shape).astype(np.uint16)

ENCODERS = {
    JPEG2000Lossless: lambda words: imagecodecs.jpeg2k_encode(
        words, level=0, codecformat="j2k", reversible=True
    ),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEGLosslessSV1: lambda words: imagecodecs.ljpeg_encode(words, bitspersample=16),
}
NATIVE = (None, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless)


def write(path: Path, words: np.ndarray[Any, Any], syntax: Any, **attributes: Any) -> Path:
    """Write words under a transfer syntax."""
    dataset = dicom_dataset(words, **{**WINDOW, **attributes})
    if syntax in ENCODERS:
        return write_encapsulated(path, dataset, syntax, fragments([[bytes(ENCODERS[syntax](words))]]))
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    elif syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = words.astype(">u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", [*NATIVE, *ENCODERS])
@pytest.mark.parametrize(
    ("words", "high_bit"), [(SAMPLES | (NOISE << 12), 11), ((SAMPLES << 4) | NOISE, 15)], ids=["low", "high"]
)
def test_other_bits_are_no_part_of_a_sample(
    tmp_path: Path, syntax: Any, words: np.ndarray[Any, Any], high_bit: int
) -> None:
    assert grey(read_one(write(tmp_path / "a.dcm", words, syntax, HighBit=high_bit), "tag")) == GREY


@pytest.mark.parametrize("syntax", [*NATIVE, *ENCODERS])
def test_the_sign_is_the_highest_bit_of_the_sample(tmp_path: Path, syntax: Any) -> None:
    words = (SAMPLES.astype(np.int32) - 2048 & 0xFFF).astype(np.uint16)  # -2048, -1024, 0, 2047
    path = write(tmp_path / "a.dcm", words, syntax, HighBit=11, PixelRepresentation=1, WindowCenter=0)
    assert grey(read_one(path, "tag")) == GREY


def test_a_stream_of_fewer_bits_holds_the_samples_alone(tmp_path: Path) -> None:
    dataset = dicom_dataset(SAMPLES, HighBit=15, **WINDOW)
    stream = imagecodecs.jpeg2k_encode(SAMPLES, level=0, codecformat="j2k", reversible=True, bitspersample=12)
    path = write_encapsulated(tmp_path / "a.dcm", dataset, JPEG2000Lossless, fragments([[bytes(stream)]]))
    assert grey(read_one(path, "tag")) == GREY


def test_a_high_bit_that_cannot_be_is_repaired_with_a_warning(tmp_path: Path) -> None:
    frame = read_one(write(tmp_path / "a.dcm", SAMPLES, None, HighBit=40), "tag")
    assert grey(frame) == GREY
    assert any("High Bit" in warning for warning in frame.warnings)


def test_packed_bits_run_on_from_frame_to_frame(tmp_path: Path) -> None:
    masks = np.zeros((3, 3, 3), np.uint8)
    masks[0, 0], masks[1, :, 1], masks[2, 2, 2] = 1, 1, 1
    packed = np.packbits(masks.reshape(-1), bitorder="little")
    dataset = dicom_dataset(packed.reshape(1, -1), BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.Rows = dataset.Columns = dataset.NumberOfFrames = 3
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    frames = read_all(tmp_path / "a.dcm")
    assert [grey(frame) for frame in frames] == (masks.astype(int) * 255).tolist()
