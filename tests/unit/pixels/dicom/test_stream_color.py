"""Colour spaces of compressed streams against the header."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit

from dicom_bytes import fragments, write_encapsulated
from image_files import dicom_dataset, read_one, write_dicom
from medrov_cli.core.records.frame import Frame

COLOR = (200, 30, 40)
PICTURE = np.full((16, 16, 3), COLOR, np.uint8)
YBR = (82, 104, 212)
"""0.299 * 200 + 0.587 * 30 + 0.114 * 40 = 82, 0.564 * (40 - 82) + 128 = 104, 0.713 * 118 + 128 = 212."""


def jpeg(components: tuple[int, int, int], *, jfif: bool, adobe: int | None, ids: bytes) -> bytes:
    """Encode constant components without a transform, with these markers."""
    target = io.BytesIO()
    picture = Image.fromarray(np.full((16, 16, 3), components, np.uint8), "YCbCr")
    picture.save(target, "JPEG", quality=100, subsampling=0)
    data = bytearray(target.getvalue())
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for number, name in enumerate(ids):
        data[frame + 10 + 3 * number] = data[scan + 5 + 2 * number] = name
    end = 4 + struct.unpack(">H", data[4:6])[0]
    segment = b"" if adobe is None else b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([adobe])
    return bytes(data[:2]) + segment + (bytes(data[2:end]) if jfif else b"") + bytes(data[end:])


def read(path: Path, stream: bytes, photometric: str, syntax: UID) -> Frame:
    """Read the stream with a header that states this."""
    dataset = dicom_dataset(PICTURE, PhotometricInterpretation=photometric, PlanarConfiguration=1)
    return read_one(write_encapsulated(path, dataset, syntax, fragments([[stream]])))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    ("jfif", "adobe", "ids", "is_rgb"),
    [
        (True, None, b"\1\2\3", False),
        (True, 0, b"\1\2\3", True),
        (False, 0, b"\1\2\3", True),
        (True, 1, b"\1\2\3", False),
        (False, 1, b"RGB", False),
        (False, None, b"RGB", True),
        (True, None, b"rgb", True),
        (False, None, b"\1\2\3", None),
    ],
)
def test_the_markers_of_a_jpeg_stream_count_before_the_header(
    tmp_path: Path, photometric: str, jfif: bool, adobe: int | None, ids: bytes, is_rgb: bool | None
) -> None:
    said = photometric == "RGB" if is_rgb is None else is_rgb
    stream = jpeg(COLOR if said else YBR, jfif=jfif, adobe=adobe, ids=ids)
    frame = read(tmp_path / "a.dcm", stream, photometric, JPEGBaseline8Bit)
    assert np.abs(frame.pixels_rgb.astype(int) - COLOR).max() <= 2
    assert any("colour space" in text for text in frame.warnings) is (said is not (photometric == "RGB"))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_ICT", "YBR_FULL"])
def test_the_transform_of_a_jpeg_2000_stream_counts(tmp_path: Path, photometric: str) -> None:
    stream = imagecodecs.jpeg2k_encode(PICTURE, level=0, codecformat="j2k", reversible=True, mct=True)
    frame = read(tmp_path / "a.dcm", bytes(stream), photometric, JPEG2000Lossless)
    assert frame.pixels_rgb[0, 0].tolist() == list(COLOR)


@pytest.mark.parametrize(
    ("photometric", "components"), [("RGB", COLOR), ("YBR_RCT", COLOR), ("YBR_FULL", YBR)]
)
def test_jpeg_2000_without_a_transform_is_what_the_header_says(
    tmp_path: Path, photometric: str, components: tuple[int, int, int]
) -> None:
    picture = np.full((16, 16, 3), components, np.uint8)
    stream = imagecodecs.jpeg2k_encode(picture, level=0, codecformat="j2k", reversible=True, mct=False)
    frame = read(tmp_path / "a.dcm", bytes(stream), photometric, JPEG2000Lossless)
    assert np.abs(frame.pixels_rgb.astype(int) - COLOR).max() <= 2


@pytest.mark.parametrize("stated", ["YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("subsampled", [False, True])
def test_the_length_decides_the_subsampling(tmp_path: Path, stated: str, subsampled: bool) -> None:
    pixels = np.full((16, 16, 3), YBR, np.uint8)
    dataset = dicom_dataset(pixels, PhotometricInterpretation=stated)
    if subsampled:
        dataset.PixelData = bytes([YBR[0], YBR[0], YBR[1], YBR[2]]) * 128
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    frame = read_one(tmp_path / "a.dcm")
    assert np.abs(frame.pixels_rgb.astype(int) - COLOR).max() <= 2
    assert bool(frame.warnings) is (subsampled is not (stated == "YBR_FULL_422"))


def test_colour_without_a_planar_configuration_is_by_pixel(tmp_path: Path) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", PICTURE, PlanarConfiguration=None))
    assert (frame.pixels_rgb == PICTURE).all()
    assert any("Planar Configuration" in warning for warning in frame.warnings)
