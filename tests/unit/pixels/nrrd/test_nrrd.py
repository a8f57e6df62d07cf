"""NRRD: axes, spaces, encodings and data files, by the definition of the format."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_files import error_of, grey, read_all
from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels.inputs import expand_inputs

IDENTITY = "256,128"
LPS = (
    "space: left-posterior-superior",
    "space directions: (0.5,0,0) (0,0.75,0) (0,0,2)",
    "space origin: (1,2,3)",
)


def values() -> np.ndarray[Any, Any]:
    """Return 24 distinct values, (x, y, z) = (3, 4, 2)."""
    return np.arange(24, dtype=np.uint8).reshape(3, 4, 2)


def header(*lines: str, sizes: str = "3 4 2", kind: str = "uchar", encoding: str = "raw") -> bytes:
    fixed = (
        f"type: {kind}",
        f"dimension: {len(sizes.split())}",
        f"sizes: {sizes}",
        f"encoding: {encoding}",
        "endian: little",
    )
    return "\n".join(("NRRD0005", "# drawn by a test", "name:=value: 3", *fixed, *lines)).encode() + b"\n"


def packed(data: np.ndarray[Any, Any]) -> bytes:
    """Return values in the order of the file: the first axis is the fastest."""
    return data.tobytes(order="F")


def save(tmp_path: Path, data: bytes, name: str = "a.nrrd") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def lps_slice(data: np.ndarray[Any, Any], number: int) -> list[list[int]]:
    """Return an axial slice of LPS voxels as shown: as stored, x along the columns."""
    return data[:, :, number].T.tolist()  # type: ignore[no-any-return]


ENCODINGS = {
    "raw": lambda data: data,
    "gzip": gzip.compress,
    "gz": lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:]),
    "bzip2": bz2.compress,
    "ascii": lambda data: "\n".join(str(value) for value in data).encode(),
    "txt": lambda data: ", ".join(str(value) for value in data).encode(),
    "hex": lambda data: data.hex().encode() + b"\n",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encoding(tmp_path: Path, encoding: str) -> None:
    data = ENCODINGS[encoding](packed(values()))
    path = save(tmp_path, header(*LPS, encoding=encoding) + b"\n" + data)
    frames = read_all(path, IDENTITY)
    assert [grey(frame) for frame in frames] == [lps_slice(values(), 0), lps_slice(values(), 1)]
    assert (frames[0].pixel_spacing_mm, frames[0].warnings) == ((0.75, 0.5), ())
    cut = save(tmp_path, header(*LPS, encoding=encoding) + b"\n" + ENCODINGS[encoding](packed(values())[:-3]))
    assert error_of(cut).code is ErrorCode.TRUNCATED


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        *(("signed char", "i1"), ("int16_t", "i2"), ("unsigned short int", "u2"), ("int", "i4")),
        *(("uint64", "u8"), ("float", "f4"), ("double", "f8"), ("long long int", "i8")),
    ],
)
def test_types_and_byte_orders(tmp_path: Path, name: str, code: str, order: str) -> None:
    stored = values().astype(np.dtype(code).newbyteorder({"little": "<", "big": ">"}[order]))
    head = header(*LPS, kind=name).replace(b"endian: little", f"endian: {order}".encode())
    frames = read_all(save(tmp_path, head + b"\n" + packed(stored)), "255,127.5")
    assert np.abs(np.array(grey(frames[1])) - lps_slice(values(), 1)).max() <= 1


@pytest.mark.parametrize(
    ("space", "step"),
    [
        ("RAS", -1),
        ("right-anterior-superior", -1),
        ("LAS", 1),
        ("LPS", 1),
        ("left-posterior-superior-time", 1),
    ],
)
def test_space_tells_where_the_right_side_is(tmp_path: Path, space: str, step: int) -> None:
    """The display begins at the patient's right: a first axis to the right is turned around."""
    head = header(f"space: {space}", "space directions: (1,0,0) (0,1,0) (0,0,1)")
    frame = read_all(save(tmp_path, head + b"\n" + packed(values())), IDENTITY)[0]
    back_first = space not in ("LPS", "left-posterior-superior-time")
    expected = values()[::step, :: -1 if back_first else 1, 0].T
    assert (grey(frame), frame.warnings) == (expected.tolist(), ())


@pytest.mark.parametrize("lines", [(), ("spacings: 0.5 0.75 2",), ("space: scanner-xyz", LPS[1])])
def test_unknown_space_is_an_assumption(tmp_path: Path, lines: tuple[str, ...]) -> None:
    frame = read_all(save(tmp_path, header(*lines) + b"\n" + packed(values())), IDENTITY)[0]
    assert grey(frame) == lps_slice(values(), 0)
    assert frame.pixel_spacing_mm == ((0.75, 0.5) if lines else None)
    assert any("left and right are assumed" in warning for warning in frame.warnings)


@pytest.mark.parametrize(
    ("unit", "spacing"),
    [("mm", (0.75, 0.5)), ("um", (0.00075, 0.0005)), ("cm", (7.5, 5.0)), ("pixels", None)],
)
def test_units(tmp_path: Path, unit: str, spacing: tuple[float, float] | None) -> None:
    quoted = f'"{unit}" "{unit}" "{unit}"'
    for lines in ((*LPS, f"space units: {quoted}"), ("spacings: 0.5 0.75 2", f"units: {quoted}")):
        frame = read_all(save(tmp_path, header(*lines) + b"\n" + packed(values())))[0]
        assert frame.pixel_spacing_mm == (None if spacing is None else pytest.approx(spacing))
        assert any("voxel size" in warning for warning in frame.warnings) is (spacing is None)


@pytest.mark.parametrize("kind", ["RGB-color", "3-color", "vector", "none"])
def test_colours_before_the_axes_of_space(tmp_path: Path, kind: str) -> None:
    colors = np.random.default_rng(1).integers(0, 255, (3, 3, 4, 2)).astype(np.uint8)
    lines = (LPS[0], f"kinds: {kind} domain domain domain", "space directions: none (1,0,0) (0,1,0) (0,0,1)")
    frames = read_all(save(tmp_path, header(*lines, sizes="3 3 4 2") + b"\n" + packed(colors)))
    assert len(frames) == 2
    assert frames[1].pixels_rgb.tolist() == colors[..., 1].transpose(2, 1, 0).tolist()
    assert bool(frames[0].warnings) is (kind not in ("RGB-color", "3-color"))


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("vector", ["none", "(nan,nan,nan)"])
def test_list_axis_is_volumes(tmp_path: Path, at: int, vector: str) -> None:
    series = np.arange(48, dtype=np.uint8).reshape(2, 3, 4, 2)  # volume, x, y, z
    kinds, directions = ["domain"] * 3, ["(1,0,0)", "(0,1,0)", "(0,0,1)"]
    kinds.insert(at, "list")
    directions.insert(at, vector)
    stored = np.moveaxis(series, 0, at)
    lines = (LPS[0], f"kinds: {' '.join(kinds)}", f"space directions: {' '.join(directions)}")
    sizes = " ".join(map(str, stored.shape))
    frames = read_all(save(tmp_path, header(*lines, sizes=sizes) + b"\n" + packed(stored)), IDENTITY)
    assert [grey(frame) for frame in frames] == [lps_slice(v, z) for v in series for z in (0, 1)]
    assert not frames[0].warnings


def test_two_axes_are_one_slice(tmp_path: Path) -> None:
    picture = values()[:, :, 0]
    lines = ("space dimension: 2", "space directions: (0.5,0) (0,0.75)")
    frames = read_all(save(tmp_path, header(*lines, sizes="3 4") + b"\n" + packed(picture)), IDENTITY)
    assert [grey(frame) for frame in frames] == [picture.T.tolist()]
    assert frames[0].pixel_spacing_mm == (0.75, 0.5)


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("data file: a.raw", ["a.raw"]),
        ("datafile: ./data/a.raw", ["data/a.raw"]),
        ("data file: C:\\scans\\A.RAW", ["a.raw"]),
        ("data file: /home/x/a.raw", ["a.raw"]),
        ("data file: s%02d.raw 1 2 1", ["s01.raw", "s02.raw"]),
        ("data file: s%d.raw 2 1 -1", ["s2.raw", "s1.raw"]),
        ("data file: LIST\none.raw\ntwo.raw\n", ["one.raw", "two.raw"]),
    ],
)
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_detached_data_are_one_image(tmp_path: Path, field: str, names: list[str], encoding: str) -> None:
    data = packed(values())
    share = len(data) // len(names)
    (tmp_path / "data").mkdir()
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(ENCODINGS[encoding](data[number * share : (number + 1) * share]))
    path = save(tmp_path, header(*LPS, field, encoding=encoding), "a.nhdr")
    assert [item.path for item in expand_inputs([str(tmp_path)])] == [str(path)]
    assert [item.path for item in expand_inputs([str(tmp_path / names[0]), str(path)])] == [str(path)]
    assert [grey(frame) for frame in read_all(path, IDENTITY)] == [lps_slice(values(), n) for n in (0, 1)]
    (tmp_path / names[-1]).unlink()
    assert error_of(path).code is ErrorCode.NOT_FOUND


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(packed(values()))
    (tmp_path / "in").mkdir()
    for name in ("../secret.raw", str(tmp_path / "secret.raw")):
        path = save(tmp_path, header(*LPS, f"data file: {name}"), "in/a.nhdr")
        assert error_of(path).code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("lines", "before"),
    [
        (("line skip: 2",), b"one\ntwo\n"),
        (("byte skip: 5",), b"12345"),
        (("line skip: 1", "byte skip: 3"), b"one\n123"),
        (("byte skip: -1",), b"of any length"),
    ],
)
def test_skipped_data(tmp_path: Path, lines: tuple[str, ...], before: bytes) -> None:
    (tmp_path / "a.raw").write_bytes(before + packed(values()))
    path = save(tmp_path, header(*LPS, "data file: a.raw", *lines), "a.nhdr")
    assert grey(read_all(path, IDENTITY)[0]) == lps_slice(values(), 0)


def test_header_with_the_line_ends_of_windows(tmp_path: Path) -> None:
    head = header(*LPS).replace(b"\n", b"\r\n") + b"\r\n"
    assert grey(read_all(save(tmp_path, head + packed(values())), IDENTITY)[1]) == lps_slice(values(), 1)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("sizes: 3 4 2", "sizes: 3 4", ErrorCode.BAD_METADATA),
        ("sizes: 3 4 2", "sizes: 3 4 0", ErrorCode.BAD_METADATA),
        ("sizes: 3 4 2", "sizes: 3 4 x", ErrorCode.BAD_METADATA),
        ("sizes: 3 4 2", "sizes: 30000 30000 9", ErrorCode.TOO_LARGE),
        ("encoding: raw", "encoding: zrl", ErrorCode.UNSUPPORTED_FORMAT),
        ("type: uchar", "type: block", ErrorCode.UNSUPPORTED_FORMAT),
        ("type: uchar\n", "", ErrorCode.BAD_METADATA),
        ("endian: little", "endian: middle", None),
        ("(0,0.75,0)", "(0,nan,0)", None),
    ],
)
def test_wrong_header(tmp_path: Path, old: str, new: str, code: ErrorCode | None) -> None:
    head = header(*LPS).replace(old.encode(), new.encode())
    path = save(tmp_path, head + b"\n" + packed(values()))
    if code is None:  # of no meaning for single bytes; or an assumption
        assert len(read_all(path)) == 2
    else:
        assert error_of(path).code is code


def test_compressed_data_are_inflated_no_further_than_the_header_says(tmp_path: Path) -> None:
    bomb = gzip.compress(packed(values()) + bytes(50_000_000))
    path = save(tmp_path, header(*LPS, encoding="gzip") + b"\n" + bomb)
    assert len(read_all(path, limits=InputLimits(inflated_bytes=1000))) == 2
    assert error_of(path, inflated_bytes=20).code is ErrorCode.TOO_LARGE
