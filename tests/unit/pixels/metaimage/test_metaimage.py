"""MetaImage: fields, data files and directions, as ITK reads them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_files import error_of, grey, read_all
from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels.inputs import expand_inputs

IDENTITY = "256,128"
FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "1 2 3",
    "ElementSpacing": "0.5 0.75 2",
    "DimSize": "3 4 2",
    "ElementType": "MET_UCHAR",
    "ElementDataFile": "LOCAL",
}


def values() -> np.ndarray[Any, Any]:
    """Return 24 distinct values, (x, y, z) = (3, 4, 2)."""
    return np.arange(24, dtype=np.uint8).reshape(3, 4, 2)


def header(**changes: str | None) -> bytes:
    fields = {**FIELDS, **changes}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")
    return "".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None).encode()


def packed(data: np.ndarray[Any, Any]) -> bytes:
    return data.tobytes(order="F")


def save(tmp_path: Path, data: bytes, name: str = "a.mha") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def lps_slice(data: np.ndarray[Any, Any], number: int) -> list[list[int]]:
    """Return an axial slice of LPS voxels as shown: as stored, x along the columns."""
    return data[:, :, number].T.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        *(("MET_CHAR", "i1"), ("MET_SHORT", "i2"), ("MET_USHORT", "u2"), ("MET_LONG", "i4")),
        *(("MET_UINT", "u4"), ("MET_LONG_LONG", "i8"), ("MET_FLOAT", "f4"), ("MET_DOUBLE", "f8")),
    ],
)
def test_types_and_byte_orders(tmp_path: Path, name: str, code: str, is_big: bool) -> None:
    stored = values().astype(np.dtype(code).newbyteorder(">" if is_big else "<"))
    for field in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"):
        changes: dict[str, str | None] = {"BinaryDataByteOrderMSB": None, field: str(is_big)}
        path = save(tmp_path, header(ElementType=name, **changes) + packed(stored))
        frames = read_all(path, "255,127.5")
        assert np.abs(np.array(grey(frames[1])) - lps_slice(values(), 1)).max() <= 1
    assert (frames[0].pixel_spacing_mm, frames[0].warnings) == ((0.75, 0.5), ())


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
@pytest.mark.parametrize("size", [None, "999999"])
def test_compressed_data(tmp_path: Path, pack: Any, size: str | None) -> None:
    head = header(CompressedData="True", CompressedDataSize=size)
    path = save(tmp_path, head + pack(packed(values()) + bytes(10_000_000)))
    frames = read_all(path, IDENTITY, limits=InputLimits(inflated_bytes=1000))
    assert [grey(frame) for frame in frames] == [lps_slice(values(), 0), lps_slice(values(), 1)]
    assert error_of(path, inflated_bytes=20).code is ErrorCode.TOO_LARGE
    assert error_of(save(tmp_path, head + pack(packed(values())[:-3]))).code is ErrorCode.TRUNCATED


def test_text_data(tmp_path: Path) -> None:
    text = " ".join(str(value) for value in values().ravel(order="F"))
    path = save(tmp_path, header(BinaryData="False") + text.encode())
    assert grey(read_all(path, IDENTITY)[1]) == lps_slice(values(), 1)


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("a.raw", ["a.raw"]),
        ("D:/scans/A.raw", ["a.raw"]),
        ("s%03d.raw 1 2 1", ["s001.raw", "s002.raw"]),
        ("LIST\none.raw\ntwo.raw", ["one.raw", "two.raw"]),
        ("LIST 2\none.raw\ntwo.raw", ["one.raw", "two.raw"]),
    ],
)
@pytest.mark.parametrize("skip", ["0", "7", "-1"])
def test_data_files_are_one_image(tmp_path: Path, field: str, names: list[str], skip: str) -> None:
    data = packed(values())
    share = len(data) // len(names)
    for number, name in enumerate(names):
        before = bytes(7 if skip != "0" else 0)
        (tmp_path / name).write_bytes(before + data[number * share : (number + 1) * share])
    path = save(tmp_path, header(ElementDataFile=field, HeaderSize=skip), "a.mhd")
    assert [item.path for item in expand_inputs([str(tmp_path)])] == [str(path)]
    assert [grey(frame) for frame in read_all(path, IDENTITY)] == [lps_slice(values(), n) for n in (0, 1)]


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(packed(values()))
    (tmp_path / "in").mkdir()
    path = save(tmp_path, header(ElementDataFile="../secret.raw"), "in/a.mhd")
    assert error_of(path).code is ErrorCode.NOT_FOUND


def test_rows_of_the_matrix_are_the_directions_of_the_axes(tmp_path: Path) -> None:
    """The first axis leads to the head, the second to the left, the third to the back."""
    path = save(tmp_path, header(TransformMatrix="0 0 1 1 0 0 0 1 0") + packed(values()))
    frames = read_all(path, IDENTITY)
    assert [frame.pixel_spacing_mm for frame in frames] == [(2, 0.75)] * 3
    assert grey(frames[2]) == values()[2].T.tolist()
    assert not frames[0].warnings


@pytest.mark.parametrize("matrix", [None, "0 0 0 0 0 0 0 0 0", "1 0 0 nan 1 0 0 0 1"])
def test_missing_directions_are_an_assumption(tmp_path: Path, matrix: str | None) -> None:
    frame = read_all(save(tmp_path, header(TransformMatrix=matrix) + packed(values())), IDENTITY)[0]
    assert (grey(frame), frame.pixel_spacing_mm) == (lps_slice(values(), 0), (0.75, 0.5))
    assert any("left and right are assumed" in warning for warning in frame.warnings)


@pytest.mark.parametrize(
    ("changes", "spacing"),
    [
        ({"ElementSpacing": None}, None),
        ({"ElementSpacing": None, "ElementSize": "0.5 0.75 2"}, (0.75, 0.5)),
        ({"ElementSpacing": "0 0.75 2"}, None),
        ({"DistanceUnits": "um"}, (0.00075, 0.0005)),
        ({"DistanceUnits": "cm"}, (7.5, 5)),
    ],
)
def test_spacing(tmp_path: Path, changes: dict[str, str | None], spacing: tuple[float, float] | None) -> None:
    frame = read_all(save(tmp_path, header(**changes) + packed(values())))[0]
    assert frame.pixel_spacing_mm == (None if spacing is None else pytest.approx(spacing))
    assert any("voxel size" in warning for warning in frame.warnings) is (spacing is None)


@pytest.mark.parametrize("kind", ["MET_UCHAR", "MET_UCHAR_ARRAY"])
def test_three_channels_are_colours(tmp_path: Path, kind: str) -> None:
    colors = np.random.default_rng(1).integers(0, 255, (3, 3, 4, 2)).astype(np.uint8)
    path = save(tmp_path, header(ElementType=kind, ElementNumberOfChannels="3") + packed(colors))
    frames = read_all(path)
    assert frames[1].pixels_rgb.tolist() == colors[..., 1].transpose(2, 1, 0).tolist()
    assert any("red, green and blue" in warning for warning in frames[0].warnings)


def test_other_dimensions(tmp_path: Path) -> None:
    flat = header(
        NDims="2", TransformMatrix="1 0 0 1", Offset="0 0", ElementSpacing="0.5 0.75", DimSize="3 4"
    )
    frames = read_all(save(tmp_path, flat + packed(values()[..., 0])), IDENTITY)
    assert [grey(frame) for frame in frames] == [lps_slice(values(), 0)]
    four = np.arange(48, dtype=np.uint8).reshape(3, 4, 2, 2)
    matrix = " ".join(str(int(number)) for number in np.eye(4).ravel())
    head = header(NDims="4", TransformMatrix=matrix, ElementSpacing="0.5 0.75 2 1", DimSize="3 4 2 2")
    frames = read_all(save(tmp_path, head + packed(four)), IDENTITY)
    assert [grey(frame) for frame in frames] == [lps_slice(four[..., v], z) for v in (0, 1) for z in (0, 1)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"DimSize": "3 4"}, ErrorCode.BAD_METADATA),
        ({"DimSize": "3 4 -2"}, ErrorCode.BAD_METADATA),
        ({"DimSize": "30000 30000 9"}, ErrorCode.TOO_LARGE),
        ({"DimSize": "3 4 9"}, ErrorCode.TRUNCATED),
        ({"ElementType": "MET_STRING"}, ErrorCode.UNSUPPORTED_FORMAT),
        ({"ObjectType": "Tube"}, ErrorCode.UNSUPPORTED_FORMAT),
        ({"ElementNumberOfChannels": "0"}, ErrorCode.BAD_METADATA),
        ({"HeaderSize": "-2"}, ErrorCode.BAD_METADATA),
    ],
)
def test_wrong_header(tmp_path: Path, changes: dict[str, str | None], code: ErrorCode) -> None:
    assert error_of(save(tmp_path, header(**changes) + packed(values()))).code is code


def test_intensity_function_is_not_applied(tmp_path: Path) -> None:
    path = save(tmp_path, header(ElementToIntensityFunctionSlope="2") + packed(values()))
    frame = read_all(path, IDENTITY)[0]
    assert (grey(frame), len(frame.warnings)) == (lps_slice(values(), 0), 1)
