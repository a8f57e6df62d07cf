"""Grouping of series never fails at a bad file, and reads no more than it needs."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from image_files import dicom_dataset, error_of, item
from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels.dicom.inflated_stream import InflatedStream
from medrov_cli.core.pixels.dicom.series import group_series, read_place

PIXELS = np.zeros((8, 8), np.uint16)
PLACE = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 5]}


def write(path: Path, *, deflated: bool = False) -> bytes:
    dataset = dicom_dataset(PIXELS, SeriesInstanceUID="1.2.3", InstanceNumber=4, **PLACE)
    if deflated:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path.read_bytes()


def deflated_at(data: bytes) -> int:
    """Return where the deflated data set begins: behind the file meta information."""
    return 144 + struct.unpack_from("<I", data, 140)[0]


def deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def test_place_of_a_deflated_file_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", deflated=True)
    place = read_place(str(tmp_path / "a.dcm"), InputLimits())
    assert (place.position_mm, place.instance_number) == (5.0, 4.0)


def bad_files(good: bytes, packed: bytes) -> dict[str, bytes]:
    body = deflated_at(packed)
    nested = b"\x20\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    return {
        "damaged": packed[: body + 9]
        + bytes(byte ^ 0xA5 for byte in packed[body + 9 : body + 40])
        + packed[body + 40 :],
        "cut": packed[: body + 30],
        "ratio": packed[:body] + deflate(bytes(60 << 20)),
        "group length": good.replace(b"\x02\x00\x00\x00UL\x04\x00", b"\x02\x00\x00\x00UL\x03\x00", 1),
        "nested": good[: good.find(b"\x28\x00\x02\x00")] + nested,
        "empty": b"",
        "position": good.replace(b"\x20\x00\x32\x00DS", b"\x20\x00\x32\x00\xff\xff", 1),
    }


@pytest.mark.parametrize("name", ["damaged", "cut", "ratio", "group length", "nested", "empty", "position"])
def test_bad_file_is_a_group_of_its_own_and_an_error_later(tmp_path: Path, name: str) -> None:
    good, packed = write(tmp_path / "a.dcm"), write(tmp_path / "packed.dcm", deflated=True)
    (tmp_path / "b.dcm").write_bytes(bad_files(good, packed)[name])
    places = [read_place(str(tmp_path / file), InputLimits()) for file in ("a.dcm", "b.dcm")]
    groups = group_series(places)
    assert sorted(place.path for group in groups for place in group) == sorted(place.path for place in places)
    if name != "position":
        assert error_of(tmp_path / "b.dcm").code in {
            ErrorCode.DECODE_FAILED,
            ErrorCode.TRUNCATED,
            ErrorCode.BAD_METADATA,
        }


def test_elements_behind_the_place_are_not_read(tmp_path: Path) -> None:
    dataset = dicom_dataset(PIXELS, SeriesInstanceUID="1.2.3", **PLACE)
    dataset.PerFrameFunctionalGroupsSequence = [item(StackID="secret") for _ in range(3)]
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    data = (tmp_path / "a.dcm").read_bytes()
    at = data.find(b"\x00\x52\x30\x92")
    (tmp_path / "a.dcm").write_bytes(data[: at + 12])
    assert read_place(str(tmp_path / "a.dcm"), InputLimits()).position_mm == 5.0


def test_inflated_stream_inflates_as_far_as_it_is_read() -> None:
    content = np.random.default_rng(0).bytes(5 << 20)
    packed = io.BytesIO(deflate(content))
    stream = io.BufferedReader(InflatedStream(packed, InputLimits()), 1 << 16)  # type: ignore[type-var]
    assert stream.read(10) == content[:10]
    assert packed.tell() < 3 << 20
    stream.seek(4 << 20)
    assert stream.read(100) == content[4 << 20 : (4 << 20) + 100]
    assert stream.seek(0, io.SEEK_END) == len(content)
    stream.seek(-5, io.SEEK_END)
    assert stream.read() == content[-5:]


def test_inflated_stream_has_a_limit() -> None:
    stream = InflatedStream(io.BytesIO(deflate(bytes(4 << 20))), InputLimits(inflated_bytes=2 << 20))
    with pytest.raises(Exception, match="inflates to more than"):
        stream.seek(0, io.SEEK_END)


def test_cosines_that_differ_by_rounding_are_one_stack(tmp_path: Path) -> None:
    places = []
    for number in range(8):
        cosine = 0.995 + (1e-6 if number % 2 else -1e-6)
        sine = (1 - cosine**2) ** 0.5
        axes = [f"{value:.6f}" for value in (cosine, sine, 0, -sine, cosine, 0)]
        dataset = dicom_dataset(
            PIXELS, SeriesInstanceUID="1.2.3", ImageOrientationPatient=axes, InstanceNumber=8 - number
        )
        dataset.ImagePositionPatient = [300, -200, 3 * number]
        dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        places.append(read_place(str(tmp_path / f"{number}.dcm"), InputLimits()))
    (stack,) = group_series(places[::-1])
    assert [Path(place.path).stem for place in stack] == [str(number) for number in range(8)]


def test_orientations_of_a_series_are_stacks_of_their_own(tmp_path: Path) -> None:
    axes = [
        [1, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, -1],
        [0, 1, 0, 0, 0, -1],
        [0.999, 0.0447, 0, -0.0447, 0.999, 0],
    ]
    places = []
    for number, own in enumerate(axes):
        dataset = dicom_dataset(
            PIXELS, SeriesInstanceUID="1.2.3", ImageOrientationPatient=own, ImagePositionPatient=[0, 0, 0]
        )
        dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        places.append(read_place(str(tmp_path / f"{number}.dcm"), InputLimits()))
    assert len(group_series(places)) == len(axes)
