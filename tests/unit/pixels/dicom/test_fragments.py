"""Frames of compressed pixel data whose offset table contradicts the fragments."""

from __future__ import annotations

import io
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels import get_encoder
from pydicom.uid import UID, JPEGBaseline8Bit, RLELossless

from dicom_bytes import fragments, write_encapsulated
from image_files import dicom_dataset, error_of, grey, read_all
from medrov_cli.core.base.errors import ErrorCode

STACK = np.stack([np.full((8, 8), value, np.uint8) for value in (10, 100, 200)])


def rle(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """Encode a frame."""
    dataset = dicom_dataset(pixels)
    encoder = get_encoder(RLELossless)
    return encoder.encode(dataset, index=0, encoding_plugin="pydicom")


def jpeg(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """Encode a frame of one value, which is decoded exactly."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=100)
    return target.getvalue()


def write(path: Path, frames: list[list[bytes]], table: bytes, syntax: UID, **attributes: object) -> Path:
    """Write the three frames of `STACK`."""
    return write_encapsulated(path, dicom_dataset(STACK, **attributes), syntax, fragments(frames, table))


RLE_FRAMES = [[rle(frame)] for frame in STACK]
STEP = 8 + len(RLE_FRAMES[0][0])


@pytest.mark.parametrize(
    "table",
    [
        (), (0, STEP, 2 * STEP), (0, STEP, 2 * STEP, 3 * STEP), (0, 0, 0), (0, 10**6, 2 * 10**6),
        (0, 2 * STEP, STEP), (0, STEP - 8, 2 * STEP - 16), (STEP, 2 * STEP, 3 * STEP), (0,),
    ],
)  # fmt: skip
def test_one_fragment_for_each_frame_needs_no_table(tmp_path: Path, table: tuple[int, ...]) -> None:
    packed = struct.pack(f"<{len(table)}I", *table)
    frames = read_all(write(tmp_path / "a.dcm", RLE_FRAMES, packed, RLELossless))
    assert [grey(frame) for frame in frames] == STACK.tolist()
    is_right = table[:3] == (0, STEP, 2 * STEP) or not table
    assert any("offset table" in warning for warning in frames[0].warnings) is not is_right


@pytest.mark.parametrize("offsets", [(0, 0, 0), (0, 10**9, 2 * 10**9), (0, 2 * STEP, STEP)])
def test_an_extended_table_decides_nothing_either(tmp_path: Path, offsets: tuple[int, ...]) -> None:
    dataset = dicom_dataset(STACK)
    dataset.ExtendedOffsetTable = struct.pack("<3Q", *offsets)
    dataset.ExtendedOffsetTableLengths = struct.pack("<3Q", *[STEP - 8] * 3)
    frames = read_all(write_encapsulated(tmp_path / "a.dcm", dataset, RLELossless, fragments(RLE_FRAMES)))
    assert [grey(frame) for frame in frames] == STACK.tolist()


def jpeg_parts() -> list[list[bytes]]:
    """Return the frames as JPEG, in 1, 2 and 3 fragments."""
    parts = []
    for count, frame in enumerate(STACK, start=1):
        stream = jpeg(frame)
        size = len(stream) // count // 2 * 2
        cuts = [size * number for number in range(count)] + [len(stream)]
        parts.append([stream[first:end] for first, end in pairwise(cuts)])
    return parts


@pytest.mark.parametrize("table", [b"", struct.pack("<3I", 0, 0, 0), struct.pack("<3I", 0, 4, 8)])
def test_jpeg_frames_of_several_fragments_begin_with_their_marker(tmp_path: Path, table: bytes) -> None:
    frames = read_all(write(tmp_path / "a.dcm", jpeg_parts(), table, JPEGBaseline8Bit))
    assert [grey(frame) for frame in frames] == STACK.tolist()


def test_frames_that_are_not_stated_are_counted(tmp_path: Path) -> None:
    frames = read_all(write(tmp_path / "a.dcm", jpeg_parts(), b"", JPEGBaseline8Bit, NumberOfFrames=None))
    assert [grey(frame) for frame in frames] == STACK.tolist()


def test_images_beyond_the_stated_number_are_reported(tmp_path: Path) -> None:
    (frame,) = read_all(write(tmp_path / "a.dcm", jpeg_parts(), b"", JPEGBaseline8Bit, NumberOfFrames=1))
    assert grey(frame) == STACK[0].tolist()
    assert any("more images" in warning for warning in frame.warnings)


def test_fragments_that_fit_no_frame_are_an_error(tmp_path: Path) -> None:
    stream = jpeg(STACK[0])
    size = len(stream) // 8 * 2
    parts = [[stream[:size], stream[size : 2 * size], stream[2 * size : 3 * size], stream[3 * size :]]]
    assert error_of(write(tmp_path / "a.dcm", parts, b"", JPEGBaseline8Bit)).code is ErrorCode.BAD_METADATA


def test_too_few_fragments_are_truncated(tmp_path: Path) -> None:
    assert error_of(write(tmp_path / "a.dcm", RLE_FRAMES[:2], b"", RLELossless)).code is ErrorCode.TRUNCATED
