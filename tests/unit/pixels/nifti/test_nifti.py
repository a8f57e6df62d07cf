"""NIfTI volumes: orientation, order of slices, windows, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from image_files import error_of, grey, read_all, read_one
from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.records.frame import Window
from medrov_cli.core.settings.choices import Modality

CODES = [
    "".join(code)
    for order in ("RAS", "RSA", "ARS", "ASR", "SRA", "SAR")
    for code in np.array(
        np.meshgrid(*[[letter, {"R": "L", "A": "P", "S": "I"}[letter]] for letter in order])
    ).T.reshape(-1, 3)
]


def volume() -> np.ndarray[Any, Any]:
    """Return an asymmetric RAS volume of shape (2, 3, 4): 0..23, x slowest, read off as 100 x + 10 y + z."""
    x, y, z = np.meshgrid(range(2), range(3), range(4), indexing="ij")
    return (100 * x + 10 * y + z).astype(np.int16)


def save(
    path: Path, data: np.ndarray[Any, Any], affine: np.ndarray[Any, Any] | None = None, **header: Any
) -> Path:
    image = nib.Nifti1Image(data, np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def save_as(path: Path, codes: str) -> Path:
    """Write `volume` with its voxels stored along the axes ``codes``, in the same place of the body."""
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    stored = nib.Nifti1Image(volume(), affine).as_reoriented(change)
    assert "".join(nib.aff2axcodes(stored.affine)) == codes
    nib.save(stored, path)
    return path


def values(path: Path, axis: str) -> list[list[list[int]]]:
    """Return the slices as real values: a window of 255 at 127.5 is the identity for 0..255."""
    return [grey(frame) for frame in read_all(path, "256,128", axis=axis)]


def test_axial_display(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", volume())
    slices = values(path, "axial")
    assert len(slices) == 4  # from feet to head
    # Rows: front (y = 2) first. Columns: the patient's right (x = 1) first.
    assert slices[0] == [[120, 20], [110, 10], [100, 0]]
    assert slices[3] == [[123, 23], [113, 13], [103, 3]]


def test_coronal_display(tmp_path: Path) -> None:
    slices = values(save(tmp_path / "a.nii", volume()), "coronal")
    assert len(slices) == 3  # from back to front
    assert slices[0] == [[103, 3], [102, 2], [101, 1], [100, 0]]  # head first, right first


def test_sagittal_display(tmp_path: Path) -> None:
    slices = values(save(tmp_path / "a.nii", volume()), "sagittal")
    assert len(slices) == 2  # from left to right
    assert slices[0] == [[23, 13, 3], [22, 12, 2], [21, 11, 1], [20, 10, 0]]  # head first, front first


@pytest.mark.parametrize("codes", CODES)
def test_the_stored_orientation_does_not_matter(tmp_path: Path, codes: str) -> None:
    plain, turned = save(tmp_path / "a.nii", volume()), save_as(tmp_path / "b.nii.gz", codes)
    for axis in ("axial", "coronal", "sagittal"):
        assert values(turned, axis) == values(plain, axis)
        assert (
            read_all(turned, axis=axis)[0].pixel_spacing_mm == read_all(plain, axis=axis)[0].pixel_spacing_mm
        )


def test_spacing_is_that_of_the_plane(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", volume())  # 1 x 2 x 3 mm
    spacing = {
        axis: read_all(path, axis=axis)[0].pixel_spacing_mm for axis in ("axial", "coronal", "sagittal")
    }
    assert spacing == {"axial": (2, 1), "coronal": (3, 1), "sagittal": (3, 2)}


def test_volumes_follow_each_other(tmp_path: Path) -> None:
    data = np.stack([volume(), volume() + 1], axis=-1)
    frames = read_all(save(tmp_path / "a.nii.gz", data), "256,128")
    assert [(frame.index, frame.frame_count) for frame in frames] == [(index, 8) for index in range(8)]
    assert grey(frames[4])[0] == [121, 21]


def test_scaling_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), np.eye(4))
    image.header.set_slope_inter(2, -10)
    nib.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:120] = np.array([2, -10], dtype="<f4").tobytes()
    raw[352:] = volume().astype("<i2").tobytes(order="F")
    (tmp_path / "a.nii").write_bytes(raw)
    assert values(tmp_path / "a.nii", "axial")[0] == [[230, 30], [210, 10], [190, 0]]


def test_other_byte_order_and_nifti2(tmp_path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(volume(), np.eye(4), header), tmp_path / "a.nii")
    nib.save(nib.Nifti2Image(volume(), np.eye(4)), tmp_path / "b.nii.gz")
    expected = [[120, 20], [110, 10], [100, 0]]
    assert values(tmp_path / "a.nii", "axial")[0] == values(tmp_path / "b.nii.gz", "axial")[0] == expected


def test_a_plane_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    data = np.array([[0, 1], [100, 101]], dtype=np.int16)
    assert values(save(tmp_path / "a.nii", data), "axial") == [[[101, 1], [100, 0]]]


def test_colour_volumes(tmp_path: Path) -> None:
    data = np.zeros((2, 1, 1), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    data[1, 0, 0] = (1, 2, 3)
    frame = read_one(save(tmp_path / "a.nii", data), "lung")
    assert frame.pixels_rgb.tolist() == [[[1, 2, 3], [0, 0, 0]]]
    assert frame.window == Window("none")
    assert any("colour" in warning for warning in frame.warnings)


def ct() -> np.ndarray[Any, Any]:
    data = np.full((10, 10, 4), -1000, dtype=np.int16)
    data[2:8, 2:8] = 50
    data[0, 0, 0] = 1500
    return data


def test_hounsfield_units_are_recognised(tmp_path: Path) -> None:
    frame = read_all(save(tmp_path / "a.nii", ct()))[1]
    assert frame.modality is Modality.CT
    assert frame.window == Window("preset", "soft", 50, 400)
    assert any("Hounsfield" in warning for warning in frame.warnings)
    assert grey(frame)[5][5] == 128


def test_other_values_are_spread_between_percentiles_of_the_volume(tmp_path: Path) -> None:
    data = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
    frames = read_all(save(tmp_path / "a.nii", data))
    assert {frame.window for frame in frames} == {frames[0].window}
    window = frames[0].window
    assert window is not None
    assert (window.source, window.center, window.width) == ("percentile", 499.5, pytest.approx(989.01))
    assert frames[0].modality is None


def test_a_small_mask_is_seen(tmp_path: Path) -> None:
    data = np.zeros((150, 150, 150), dtype=np.uint8)  # more voxels than the sample
    data[75, 75, 75] = 1
    frame = read_all(save(tmp_path / "a.nii", data))[75]
    assert frame.pixels_rgb.max() == 255
    assert (frame.pixels_rgb[..., 0] > 0).sum() == 1


def test_not_a_number_is_black(tmp_path: Path) -> None:
    data = np.array([[[np.nan], [0.0]], [[1.0], [np.inf]]], dtype=np.float32)
    assert grey(read_one(save(tmp_path / "a.nii", data))) == [[255, 0], [255, 0]]


def test_a_preset_is_applied_to_any_values_with_a_sentence(tmp_path: Path) -> None:
    frame = read_all(save(tmp_path / "a.nii", volume()), "brain")[0]
    assert frame.window == Window("preset", "brain", 40, 80)
    assert any("not in the range of Hounsfield" in warning for warning in frame.warnings)


def test_a_tag_is_not_there(tmp_path: Path) -> None:
    frame = read_all(save(tmp_path / "a.nii", volume()), "tag")[0]
    assert any("'auto' was used" in warning for warning in frame.warnings)


def test_without_an_orientation_there_is_a_sentence(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", volume())
    assert not read_all(path)[0].warnings
    data = bytearray(path.read_bytes())
    data[252:256] = bytes(4)  # qform_code, sform_code
    path.write_bytes(data)
    assert any("left and right" in warning for warning in read_all(path)[0].warnings)


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ({"pixels_per_frame": 11}, "slices of 12"),
        ({"frames": 3}, "4 slices"),
        ({"inflated_bytes": 390}, "390"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_limits_hold_before_the_voxels_are_read(
    tmp_path: Path, name: str, limits: dict[str, int], word: str
) -> None:
    path = save(tmp_path / name, volume())  # 48 bytes of voxels after 352
    error = error_of(path, **limits)
    assert (error.code, word in error.message) == (ErrorCode.TOO_LARGE, True)


def test_a_gzip_bomb_is_inflated_no_further_than_the_header_says(tmp_path: Path) -> None:
    data = gzip.decompress(save(tmp_path / "a.nii.gz", volume()).read_bytes())
    bomb = tmp_path / "bomb.nii.gz"
    bomb.write_bytes(gzip.compress(data + bytes(50_000_000)))
    assert bomb.stat().st_size < 100_000
    assert len(read_all(bomb, limits=InputLimits(inflated_bytes=10_000))) == 4
    huge = bytearray(data)
    huge[40:56] = np.array([3, 30_000, 30_000, 30_000, 1, 1, 1, 1], dtype="<i2").tobytes()
    bomb.write_bytes(gzip.compress(bytes(huge) + bytes(1000)))
    assert error_of(bomb).code is ErrorCode.TOO_LARGE
    far = bytearray(data)
    far[108:112] = np.array([2e10], dtype="<f4").tobytes()
    bomb.write_bytes(gzip.compress(bytes(far)))
    assert error_of(bomb).code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_file_cut_short(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:-500])
    assert error_of(path).code is ErrorCode.TRUNCATED


def test_headers_that_make_no_sense(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", volume())
    good = path.read_bytes()
    for at, wrong in ((42, b"\0\0"), (70, b"\xff\x7f")):  # first size, data type
        path.write_bytes(good[:at] + wrong + good[at + len(wrong) :])
        assert error_of(path).code in (ErrorCode.BAD_METADATA, ErrorCode.UNSUPPORTED_FORMAT)


def test_complex_voxels_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", volume().astype(np.complex64))
    assert error_of(path).code is ErrorCode.UNSUPPORTED_FORMAT
