"""Samples in their words: unused bits, left-aligned samples and signs in every kind of transfer syntax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from dicom_bytes import fragments, write_encapsulated
from image_files import dicom_dataset, error_of, grey, read_all, read_one
from medrov_cli.core.base.errors import ErrorCode

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


def film(signed: bool) -> np.ndarray[Any, Any]:
    """Return a smooth picture with a white and a black mark, whose edges overshoot in lossy compression."""
    ramp = np.linspace(600, 1800, 64)[None] + np.linspace(0, 600, 64)[:, None]
    ramp[10:30, 10:14], ramp[40:60, 30:34] = 4095, 0
    return ramp.astype(np.uint16) if not signed else (ramp - 2048).astype(np.int16)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("level", [55, 70])
@pytest.mark.parametrize("reversible", [False, True], ids=["9/7", "5/3 cut to a rate"])
def test_lossy_samples_beyond_their_range_are_clipped(
    tmp_path: Path, signed: bool, level: int, reversible: bool
) -> None:
    pixels = film(signed)
    dataset = dicom_dataset(pixels, **{**WINDOW, "WindowCenter": 0 if signed else 2048}, HighBit=11)
    stream = imagecodecs.jpeg2k_encode(pixels, level=level, codecformat="j2k", reversible=reversible)
    path = write_encapsulated(tmp_path / "a.dcm", dataset, JPEG2000, fragments([[bytes(stream)]]))
    decoded = imagecodecs.jpeg2k_decode(stream).astype(int)
    low = -2048 if signed else 0
    assert decoded.max() > low + 4095  # it does overshoot
    expected = np.rint((np.clip(decoded, low, low + 4095) - low) / 4095 * 255)
    assert np.abs(np.array(grey(read_one(path, "tag"))) - expected).max() <= 1


def test_near_lossless_samples_beyond_their_range_are_clipped(tmp_path: Path) -> None:
    pixels = film(signed=False)
    pixels[:8] = 4095 - np.random.default_rng(0).integers(0, 6, (8, 64))
    stream = imagecodecs.jpegls_encode(pixels, level=3)
    assert imagecodecs.jpegls_decode(stream).max() > 4095
    dataset = dicom_dataset(pixels, **WINDOW, HighBit=11)
    path = write_encapsulated(tmp_path / "a.dcm", dataset, JPEGLSNearLossless, fragments([[bytes(stream)]]))
    assert np.array(grey(read_one(path, "tag")))[:8].min() >= 254


def test_overlay_bits_of_a_lossless_stream_under_a_lossy_syntax_are_left_out(tmp_path: Path) -> None:
    words = SAMPLES | (NOISE << 12)
    stream = imagecodecs.jpeg2k_encode(words, level=0, codecformat="j2k", reversible=True)
    dataset = dicom_dataset(words, **WINDOW, HighBit=11)
    path = write_encapsulated(tmp_path / "a.dcm", dataset, JPEG2000, fragments([[bytes(stream)]]))
    assert grey(read_one(path, "tag")) == GREY


@pytest.mark.parametrize("syntax", list(ENCODERS))
def test_a_stream_of_more_bits_than_bits_allocated_keeps_them(tmp_path: Path, syntax: Any) -> None:
    dataset = dicom_dataset(SAMPLES.astype(np.uint8), WindowCenter=2048, WindowWidth=4096)
    words = {"bitspersample": 12} if syntax != JPEGLSLossless else {}
    encode = {
        JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(
            SAMPLES, level=0, codecformat="j2k", reversible=True, **words
        ),
        JPEGLSLossless: lambda: imagecodecs.jpegls_encode(SAMPLES),
        JPEGLosslessSV1: lambda: imagecodecs.ljpeg_encode(SAMPLES, **words),
    }[syntax]
    path = write_encapsulated(tmp_path / "a.dcm", dataset, syntax, fragments([[bytes(encode())]]))
    frame = read_one(path, "tag")
    assert grey(frame) == GREY
    assert any("Bits Allocated" in warning for warning in frame.warnings)


def test_packed_bits_in_words_of_either_byte_order(tmp_path: Path) -> None:
    masks = np.random.default_rng(2).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    packed = np.packbits(masks.reshape(-1), bitorder="little").tobytes()
    dataset = dicom_dataset(np.zeros((5, 7), np.uint8), BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.NumberOfFrames = 3
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    words = np.frombuffer(packed + b"\0" * (len(packed) % 2), "<u2")
    dataset.PixelData = words.astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    frames = read_all(tmp_path / "a.dcm")
    assert [grey(frame) for frame in frames] == (masks.astype(int) * 255).tolist()


@pytest.mark.parametrize("bits", [12, 24])
def test_words_that_numpy_does_not_have_are_refused_by_name(tmp_path: Path, bits: int) -> None:
    dataset = dicom_dataset(np.zeros((8, 8), np.uint32), BitsAllocated=bits, BitsStored=12, HighBit=11)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    error = error_of(tmp_path / "a.dcm")
    assert (error.code, str(bits) in error.message) == (ErrorCode.UNSUPPORTED_FORMAT, True)
