"""Data sets and pixel data that are not encoded as the file says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from dicom_bytes import fragments, tag_bytes, write_encapsulated
from image_files import dicom_dataset, error_of, grey, read_all, read_one, row, write_dicom
from medrov_cli.core.base.errors import ErrorCode

PIXELS = row([0, 50, 100, 200], "uint16")
EXPECTED = [[1, 129, 255, 255]]
"""By a window of 50, 101: ((x - 49.5) / 100 + 0.5) * 255."""
WINDOW = {"WindowCenter": 50, "WindowWidth": 101}


def write_as(path: Path, stated: UID, *, implicit: bool, little_endian: bool) -> Path:
    """Write a file whose data set is encoded in another way than its transfer syntax says."""
    dataset = dicom_dataset(PIXELS, PixelSpacing=[0.7, 0.5], **WINDOW)
    if not little_endian:
        dataset.PixelData = PIXELS.astype(">u2").tobytes()
    body = DicomBytesIO()
    body.is_implicit_VR, body.is_little_endian = implicit, little_endian
    write_dataset(body, dataset)
    dataset.file_meta.TransferSyntaxUID = stated
    header = io.BytesIO()
    dicom_dataset(PIXELS).save_as(header, enforce_file_format=True)
    head = header.getvalue()
    head = head[: head.index(tag_bytes("SOPClassUID"))]
    name = head.rindex(str(ExplicitVRLittleEndian).encode()) - 8
    text = stated.encode() + b"\0" * (len(stated) % 2)
    syntax = tag_bytes("TransferSyntaxUID") + b"UI" + len(text).to_bytes(2, "little") + text
    rest = head[name + 8 + len(str(ExplicitVRLittleEndian)) + 1 :]
    path.write_bytes(head[:name] + syntax + rest + body.getvalue())
    return path


@pytest.mark.parametrize("stated", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(("implicit", "little_endian"), [(True, True), (False, True), (False, False)])
def test_the_first_elements_tell_the_encoding(
    tmp_path: Path, stated: UID, implicit: bool, little_endian: bool
) -> None:
    path = write_as(tmp_path / "a.dcm", stated, implicit=implicit, little_endian=little_endian)
    frame = read_one(path)
    assert grey(frame) == EXPECTED
    assert frame.pixel_spacing_mm == (0.7, 0.5)
    agrees = (stated.is_implicit_VR, stated.is_little_endian) == (implicit, little_endian)
    assert any("not encoded" in warning for warning in frame.warnings) is not agrees


def test_a_big_endian_data_set_with_a_compressed_syntax_is_refused(tmp_path: Path) -> None:
    path = write_as(tmp_path / "a.dcm", RLELossless, implicit=False, little_endian=False)
    assert error_of(path).code is ErrorCode.BAD_METADATA


def jpeg(pixels: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> bytes:
    """Encode grey pixels, decoded exactly as they are if they are constant."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=100)
    return target.getvalue()


@pytest.mark.parametrize("stated", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_the_stream_tells_the_compression(tmp_path: Path, stated: UID) -> None:
    pixels = np.full((8, 8), 77, np.uint8)
    path = write_encapsulated(tmp_path / "a.dcm", dicom_dataset(pixels), stated, fragments([[jpeg(pixels)]]))
    frame = read_one(path)
    assert grey(frame) == pixels.tolist()
    assert any("transfer syntax" in warning for warning in frame.warnings)


def test_plain_pixels_under_a_compressed_syntax_are_read(tmp_path: Path) -> None:
    path = Path(write_dicom(tmp_path / "a.dcm", PIXELS, **WINDOW))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"))
    frame = read_one(path)
    assert grey(frame) == EXPECTED
    assert any("transfer syntax" in warning for warning in frame.warnings)


def test_a_jpeg_of_8_bits_in_words_of_16_is_read(tmp_path: Path) -> None:
    pixels = np.full((8, 8), 77, np.uint8)
    dataset = dicom_dataset(pixels.astype(np.uint16), BitsStored=8, HighBit=7)
    path = write_encapsulated(tmp_path / "a.dcm", dataset, JPEGBaseline8Bit, fragments([[jpeg(pixels)]]))
    assert grey(read_one(path)) == pixels.tolist()


def test_an_element_of_no_value_representation_is_skipped(tmp_path: Path) -> None:
    path = Path(write_dicom(tmp_path / "a.dcm", PIXELS, AdditionalPatientHistory="none", **WINDOW))
    data = path.read_bytes()
    path.write_bytes(data.replace(tag_bytes("PatientID") + b"LO", tag_bytes("PatientID") + b"--"))
    frame = read_one(path)
    assert grey(frame) == EXPECTED
    assert any("value representation" in warning for warning in frame.warnings)


def test_a_file_that_ends_in_its_header_is_truncated(tmp_path: Path) -> None:
    path = Path(write_dicom(tmp_path / "a.dcm", PIXELS, **WINDOW))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(tag_bytes("PatientID")) + 10])
    assert error_of(path).code is ErrorCode.TRUNCATED


@pytest.mark.parametrize("frames", ["missing", "empty", "0"])
def test_frames_that_are_not_stated_are_counted(tmp_path: Path, frames: str) -> None:
    pixels = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    value = {"missing": None, "empty": "", "0": 0}[frames]
    found = read_all(write_dicom(tmp_path / "a.dcm", pixels, NumberOfFrames=value))
    assert [grey(frame) for frame in found] == pixels.tolist()
    assert any("Number of Frames" in warning for warning in found[0].warnings)


def test_frames_beyond_the_stated_number_are_reported(tmp_path: Path) -> None:
    pixels = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    frame = read_one(write_dicom(tmp_path / "a.dcm", pixels, NumberOfFrames=1))
    assert any("Number of Frames" in warning for warning in frame.warnings)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_group_length_before_the_pixel_data_is_skipped(tmp_path: Path, implicit: bool) -> None:
    stated = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    path = write_as(tmp_path / "a.dcm", stated, implicit=implicit, little_endian=True)
    data = path.read_bytes()
    at = data.rindex(tag_bytes("PixelData"))
    length = b"\xe0\x7f\0\0" + (b"\4\0\0\0" if implicit else b"UL\4\0") + b"\x20\0\0\0"
    path.write_bytes(data[:at] + length + data[at:])
    assert grey(read_one(path)) == EXPECTED
