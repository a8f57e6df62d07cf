"""NIfTI and Analyze headers that are wrong in part: repaired with a warning, as nibabel and niftilib do."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from image_files import error_of, grey, read_all
from medrov_cli.core.base.errors import ErrorCode

IDENTITY = "256,128"
AFFINE = np.diag([0.5, 0.75, 2.0, 1.0])
DIM, DATATYPE, BITPIX, PIXDIM, OFFSET = 40, 70, 72, 76, 108
SLOPE, INTERCEPT, UNITS, QFORM, SFORM, QUATERNION, SROW = 112, 116, 123, 252, 254, 256, 280


def values(shape: tuple[int, ...] = (3, 4, 2)) -> np.ndarray[Any, Any]:
    """Return distinct values from 0 to 255."""
    return np.arange(np.prod(shape)).reshape(shape).astype(np.int16)


def image_bytes(data: np.ndarray[Any, Any] | None = None, order: str = "<", **codes: int) -> bytearray:
    """Return a NIfTI-1 file with `AFFINE` in qform and sform."""
    data = values() if data is None else data
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(data.dtype)
    image = nib.Nifti1Image(data, AFFINE, header)
    image.set_qform(AFFINE, codes.get("qform", 1))
    image.set_sform(AFFINE, codes.get("sform", 1))
    return bytearray(image.to_bytes())


def put(data: bytearray, at: int, code: str, *numbers: float, order: str = "<") -> bytearray:
    """Overwrite fields of a header."""
    struct.pack_into(f"{order}{len(numbers)}{code}", data, at, *numbers)
    return data


def axial(stored: np.ndarray[Any, Any], number: int) -> list[list[int]]:
    """Return an axial slice of RAS voxels as shown: rows from the front, columns from the patient's right."""
    return np.asarray(stored)[::-1, ::-1, number].T.tolist()  # type: ignore[no-any-return]


def save(tmp_path: Path, data: bytes, name: str = "a.nii") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("at", "code", "numbers", "word"),
    [
        (0, "i", (0,), "size"),
        (0, "i", (540,), "size"),
        (BITPIX, "h", (8,), "bits"),
        (DIM, "h", (4, 3, 4, 2, 0), "dimension"),
        (DIM, "h", (5, 3, 4, 2, -1, 0), "dimension"),
        (PIXDIM, "f", (0.0,), "qfac"),
        (OFFSET, "f", (348.0,), "position"),
        (OFFSET, "f", (0.0,), "position"),
        (OFFSET, "f", (np.nan,), "position"),
        (OFFSET, "f", (4096.0,), "position"),
        (SFORM, "h", (0,), None),
        (QFORM, "h", (0,), None),
    ],
)
def test_header_with_a_wrong_field_is_repaired(
    tmp_path: Path, order: str, at: int, code: str, numbers: tuple[float, ...], word: str | None
) -> None:
    sform = 0 if at == PIXDIM else 1
    data = put(image_bytes(order=order, sform=sform), at, code, *numbers, order=order)
    for name, packed in (("a.nii", bytes(data)), ("a.nii.gz", gzip.compress(bytes(data)))):
        frames = read_all(save(tmp_path, packed, name), IDENTITY)
        assert [grey(frame) for frame in frames] == [axial(values(), 0), axial(values(), 1)]
        assert frames[0].pixel_spacing_mm == (0.75, 0.5)
        assert [word in warning for warning in frames[0].warnings] == ([] if word is None else [True])


def test_voxels_at_the_stated_position_inside_the_minimal_one(tmp_path: Path) -> None:
    """A file that ends where the voxels from 348 end has them there, and not four bytes later."""
    data = put(image_bytes(), OFFSET, "f", 348.0)
    del data[348:352]
    assert grey(read_all(save(tmp_path, bytes(data)), IDENTITY)[0]) == axial(values(), 0)
    assert grey(read_all(save(tmp_path, gzip.compress(bytes(data)), "b.nii.gz"), IDENTITY)[0]) == axial(
        values(), 0
    )


@pytest.mark.parametrize(
    ("slope", "intercept", "shown"),
    [
        (0.0, 1000.0, 1),
        (np.nan, np.nan, 1),
        (np.inf, 0.0, 1),
        (2.0, np.nan, 2),
        (2.0, -np.inf, 2),
        (-1.0, 24.0, -1),
    ],
)
def test_scaling(tmp_path: Path, slope: float, intercept: float, shown: int) -> None:
    data = put(image_bytes(), SLOPE, "f", slope, intercept)
    expected = 24 - values() if shown == -1 else shown * values()
    frames = read_all(save(tmp_path, bytes(data)), IDENTITY)
    assert grey(frames[1]) == axial(expected, 1)
    assert bool(frames[0].warnings) is (shown == 2)


@pytest.mark.parametrize(
    ("units", "factor"),
    [(0, 1), (1, 1000), (2, 1), (3, 0.001), (8 + 3, 0.001), (16 + 2, 1), (24 + 1, 1000), (5, 1)],
)
def test_spacing_is_in_mm(tmp_path: Path, units: int, factor: float) -> None:
    data = put(image_bytes(), UNITS, "B", units)
    frame = read_all(save(tmp_path, bytes(data)))[0]
    assert frame.pixel_spacing_mm == pytest.approx((0.75 * factor, 0.5 * factor))
    assert len(frame.warnings) == (units == 5)


def test_units_of_the_second_version(tmp_path: Path) -> None:
    image = nib.Nifti2Image(values(), np.diag([500.0, 750.0, 2000.0, 1.0]))
    image.header.set_xyzt_units("micron", "sec")
    path = tmp_path / "a.nii"
    nib.save(image, path)
    assert read_all(path)[0].pixel_spacing_mm == pytest.approx((0.75, 0.5))


BAD_MATRICES = {
    "zeros": np.zeros(12),
    "nan": np.full(12, np.nan),
    "plane": np.array([1.0, 2, 0, 0, 2, 4, 0, 0, 0, 0, 1, 0]),
    "column": np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]),
}


@pytest.mark.parametrize("matrix", BAD_MATRICES.values(), ids=BAD_MATRICES)
def test_unusable_sform_is_replaced_by_the_qform(tmp_path: Path, matrix: np.ndarray[Any, Any]) -> None:
    """The qform turns x and y around: the first stored voxel is the patient's left and back."""
    turned = np.diag([-0.5, -0.75, 2.0, 1.0])
    image = nib.Nifti1Image(values(), turned)
    image.set_qform(turned, 1)
    image.set_sform(turned, 2)
    data = put(bytearray(image.to_bytes()), SROW, "f", *matrix)
    frame = read_all(save(tmp_path, bytes(data)), IDENTITY)[0]
    assert grey(frame) == values()[:, :, 0].T.tolist()
    assert ["sform is unusable" in warning for warning in frame.warnings] == [True]
    data = put(data, QUATERNION, "f", 3.0, 0.0, 0.0)
    frame = read_all(save(tmp_path, bytes(data)), IDENTITY)[0]
    assert any("left and right are assumed" in warning for warning in frame.warnings)
    assert frame.pixel_spacing_mm == (0.75, 0.5)


def test_quaternion_beyond_rounding_is_left_out(tmp_path: Path) -> None:
    data = put(image_bytes(sform=0), QUATERNION, "f", 0.9, 0.9, 0.9)
    warnings = read_all(save(tmp_path, bytes(data)))[0].warnings
    assert any("qform cannot be used" in warning for warning in warnings)
    assert any("assumed" in warning for warning in warnings)


@pytest.mark.parametrize("size", [0.0, np.nan, np.inf])
def test_unknown_voxel_size_is_not_guessed(tmp_path: Path, size: float) -> None:
    data = put(image_bytes(qform=0, sform=0), PIXDIM + 4, "f", size)
    frame = read_all(save(tmp_path, bytes(data)))[0]
    assert frame.pixel_spacing_mm is None
    assert any("voxel size" in warning for warning in frame.warnings)
    data = put(image_bytes(qform=0), PIXDIM + 4, "f", size)
    frame = read_all(save(tmp_path, bytes(data)))[0]
    assert frame.pixel_spacing_mm == (0.75, 0.5)
    assert any("transform was used" in warning for warning in frame.warnings)


def test_transform_of_another_size_is_reported(tmp_path: Path) -> None:
    data = put(image_bytes(), SROW, "f", 1.0)
    frame = read_all(save(tmp_path, bytes(data)))[0]
    assert frame.pixel_spacing_mm == (0.75, 0.5)
    assert ["differ" in warning for warning in frame.warnings] == [True]


@pytest.mark.parametrize(
    ("name", "pack"), [("a.nii.gz", gzip.compress), ("a.nii.bz2", bz2.compress), ("a.nii.xz", lzma.compress)]
)
def test_compressed_file(tmp_path: Path, name: str, pack: Any) -> None:
    frames = read_all(save(tmp_path, pack(bytes(image_bytes())), name), IDENTITY)
    assert [grey(frame) for frame in frames] == [axial(values(), 0), axial(values(), 1)]
    cut = save(tmp_path, pack(bytes(image_bytes())[:-8]), name)
    assert error_of(cut).code is ErrorCode.TRUNCATED


def test_gzip_members_of_any_length(tmp_path: Path) -> None:
    data = bytes(image_bytes())
    members = [gzip.compress(data[at : at + 50]) for at in range(0, len(data), 50)]
    path = save(tmp_path, gzip.compress(b"") + b"".join(members), "a.nii.gz")
    assert grey(read_all(path, IDENTITY)[1]) == axial(values(), 1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [nib.Nifti1Pair, nib.Nifti2Pair])
def test_pair_is_read_by_either_file(tmp_path: Path, version: Any, order: str) -> None:
    header = version.header_class(endianness=order)
    nib.save(version(values(), AFFINE, header), tmp_path / "a.hdr")
    for name in ("a.hdr", "a.img"):
        frames = read_all(tmp_path / name, IDENTITY)
        assert [grey(frame) for frame in frames] == [axial(values(), 0), axial(values(), 1)]
        assert not frames[0].warnings
    voxels = (tmp_path / "a.img").read_bytes()
    (tmp_path / "a.img").unlink()
    assert error_of(tmp_path / "a.hdr").code is ErrorCode.NOT_FOUND
    (tmp_path / "A.IMG.gz").write_bytes(gzip.compress(voxels))
    assert grey(read_all(tmp_path / "a.hdr", IDENTITY)[0]) == axial(values(), 0)


def test_magic_of_the_other_kind_of_file(tmp_path: Path) -> None:
    single = image_bytes()
    assert single[344:348] == b"n+1\0"
    single[344:348] = b"ni1\0"
    frame = read_all(save(tmp_path, bytes(single)), IDENTITY)[0]
    assert (grey(frame), "in another file" in frame.warnings[0]) == (axial(values(), 0), True)
    save(tmp_path, bytes(image_bytes()[:348]), "b.hdr")
    save(tmp_path, bytes(image_bytes()[352:]), "b.img")
    frame = read_all(tmp_path / "b.hdr", IDENTITY)[0]
    assert (grey(frame), ".img" in frame.warnings[0]) == (axial(values(), 0), True)


@pytest.mark.parametrize("order", ["<", ">"])
def test_analyze_is_read_as_nibabel_reads_it(tmp_path: Path, order: str) -> None:
    image = nib.Spm2AnalyzeImage(
        values(), np.diag([-2.0, 3.0, 4.0, 1.0]), nib.Spm2AnalyzeImage.header_class(endianness=order)
    )
    nib.save(image, tmp_path / "a.hdr")
    loaded = nib.load(tmp_path / "a.hdr")
    assert "".join(nib.aff2axcodes(loaded.affine)) == "LAS"
    frames = read_all(tmp_path / "a.hdr", IDENTITY)
    stored = np.asarray(loaded.dataobj)[::-1]  # to RAS
    assert [grey(frame) for frame in frames] == [axial(stored, 0), axial(stored, 1)]
    assert frames[0].pixel_spacing_mm == (3, 2)
    assert frames[0].warnings == ("The Analyze file has no orientation; left and right are assumed.",)


@pytest.mark.parametrize(("intent", "at"), [(2003, 5), (2003, 4), (1007, 5)])
def test_three_bytes_per_voxel_are_colours(tmp_path: Path, intent: int, at: int) -> None:
    colors = np.random.default_rng(0).integers(0, 255, (3, 4, 2, 1, 3)).astype(np.uint8)
    data = image_bytes(colors)
    put(data, 68, "h", intent)
    if at == 4:
        put(data, DIM, "h", 4, 3, 4, 2, 3, 1)
    frames = read_all(save(tmp_path, bytes(data)))
    assert len(frames) == 2
    assert frames[1].pixels_rgb.tolist() == colors[::-1, ::-1, 1, 0].transpose(1, 0, 2).tolist()
    assert bool(frames[0].warnings) is (intent == 1007)


def test_vectors_are_one_volume_per_component_with_a_warning(tmp_path: Path) -> None:
    vectors = np.arange(72).reshape(3, 4, 2, 1, 3).astype(np.float32)
    frames = read_all(save(tmp_path, bytes(image_bytes(vectors))), IDENTITY)
    assert [frame.frame_count for frame in frames] == [6] * 6
    assert grey(frames[3]) == np.rint(np.array(axial(vectors[..., 0, 1], 1)) * 255 / 256).tolist()
    assert any("vector of 3" in warning for warning in frames[0].warnings)


def test_transparency_of_voxels_is_left_out(tmp_path: Path) -> None:
    colors = np.random.default_rng(0).integers(0, 255, (4, 3, 4, 2)).astype(np.uint8)
    data = put(image_bytes(colors), DIM, "h", 3, 3, 4, 2)
    put(data, DATATYPE, "h", 2304, 32)
    put(data, PIXDIM + 4, "f", 0.5, 0.75, 2.0)
    frame = read_all(save(tmp_path, bytes(data)))[0]
    assert frame.pixels_rgb.tolist() == colors[:3, ::-1, ::-1, 0].transpose(2, 1, 0).tolist()
    assert ["transparency" in warning for warning in frame.warnings] == [True]
