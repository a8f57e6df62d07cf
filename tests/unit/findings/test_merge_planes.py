"""Cuts of a volume in other planes, and findings of several planes merged."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.findings.merge_planes import PlaneFindings, merge_planes
from medrov_cli.core.pixels.budget import limit_memory
from medrov_cli.core.pixels.cut_frames import CutVolume
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.finding import Finding, FindingMember, SliceReference
from medrov_cli.core.records.plane_cut import VoxelGrid, cut_in_plane, nearest_plane
from medrov_cli.core.settings.choices import Axis
from medrov_cli.core.settings.io_groups import ReadSettings

AXES: tuple[Axis, ...] = ("axial", "coronal", "sagittal")
ROTATION = np.array([[0.96, 0.28, 0], [-0.28, 0.96, 0], [0, 0, 1.0]])
DIRECTIONS = {
    "axial": np.eye(3),
    "axial, from the head": np.diag([1.0, 1, -1]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "sagittal": np.array([[0, 1.0, 0], [0, 0, -1], [-1, 0, 0]]),
    "oblique": ROTATION,
}


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("plane", AXES)
def test_a_box_of_a_cut_has_the_same_place_in_the_volume(name: str, plane: Axis) -> None:
    grid = VoxelGrid(DIRECTIONS[name], np.array([10.0, -20, 30]), (0.8, 1.0, 2.5), (40, 50, 20))
    assert nearest_plane(grid.directions) == name.split(",", maxsplit=1)[0].replace("oblique", "axial")
    cut = cut_in_plane(grid, plane)
    planes = cut.planes()
    box = np.array([3.0, 4, 2, 9, 8, 6])
    voxels = cut.to_voxels(box).reshape(2, 3)
    corners = np.array([[x, y, z] for x in voxels[:, 0] for y in voxels[:, 1] for z in voxels[:, 2]])
    step = np.array(planes[1].origin_mm) - np.array(planes[0].origin_mm)
    own = np.concatenate([planes[at].to_patient(np.array([[3, 4], [9, 8], [3, 8], [9, 4]])) for at in (2, 5)])
    own = np.concatenate((own - step / 2, own + step / 2))
    assert grid.to_patient(corners).min(0) == pytest.approx(own.min(0))
    assert grid.to_patient(corners).max(0) == pytest.approx(own.max(0))
    assert cut.spacing_mm == pytest.approx((0.8, 0.8), rel=0.05)


@pytest.mark.parametrize("plane", AXES[1:])
def test_cuts_of_isotropic_voxels_are_the_slices_of_that_axis(tmp_path: Path, plane: Axis) -> None:
    values = np.random.default_rng(0).integers(0, 200, (12, 14, 9)).astype(np.uint8)
    path = tmp_path / "volume.nii"
    nib.save(nib.Nifti1Image(values, np.diag([-2.0, -2, 2, 1])), path)
    grid = VoxelGrid(np.eye(3), np.zeros(3), (2.0, 2.0, 2.0), (12, 14, 9))
    slices = [SliceReference(str(path), number) for number in range(9)]
    source = CutVolume(str(path), slices, [cut_in_plane(grid, plane)])
    cuts = [frame.pixels_rgb for frame in source.frames()]
    slices_of_axis = [frame.pixels_rgb for frame in read_frames(path, ReadSettings(axis=plane))]
    assert len(cuts) == len(slices_of_axis)
    for cut, own in zip(cuts, slices_of_axis, strict=True):
        np.testing.assert_array_equal(cut, own)


GRID = VoxelGrid(np.eye(3), np.zeros(3), (1.0, 1.0, 1.0), (100, 100, 100))
CORONAL, SAGITTAL = (cut_in_plane(GRID, plane) for plane in AXES[1:])


def finding(name: str, score: float, box: tuple[float, ...], members: int = 0) -> Finding:
    """Return a finding with a box in slices of its own plane."""
    first, last = int(box[2]), int(box[5]) - 1
    own = tuple(FindingMember(first + number, "a", first + number, 0) for number in range(members))
    sides = box[3] - box[0], box[4] - box[1], box[5] - box[2]
    return Finding(name, 0, score, first, last, first, box, own, sides, box, None, max(sides[:2]), first)  # type: ignore[arg-type]


def test_planes_correct_the_sides_that_a_plane_measures_by_slices() -> None:
    # The object is (20..40, 30..60, 10..50); the axial plane misses its first and last ten slices.
    axial = finding("liver", 0.6, (20, 30, 20, 40, 60, 40), 20)
    # Coronal: columns to the left, rows from the head down, slices from back to front; sagittal: columns to
    # the back, slices from left to right.
    coronal = finding("liver", 0.8, (20, 50, 42, 40, 90, 68))
    sagittal = finding("liver", 0.4, (30, 50, 60, 60, 90, 80))
    parts = [PlaneFindings(CORONAL, [coronal]), PlaneFindings(SAGITTAL, [sagittal])]
    (merged,) = merge_planes([axial], parts, GRID)
    assert merged.box_voxels == pytest.approx((20, 30, 10, 40, 60, 50))
    assert merged.box_mm == pytest.approx((20, 30, 10, 40, 60, 50))
    assert merged.extent_mm == pytest.approx((20, 30, 40))
    assert merged.score == 0.8
    assert (merged.first_slice, merged.last_slice) == (10, 49)
    assert merged.members == axial.members
    assert [(vote.plane, vote.score) for vote in merged.votes] == [
        ("axial", 0.6), ("coronal", 0.8), ("sagittal", 0.4)
    ]  # fmt: skip


def test_another_plane_alone_is_no_finding_and_two_are_one() -> None:
    coronal = finding("liver", 0.8, (20, 50, 40, 40, 90, 70))
    sagittal = finding("liver", 0.4, (30, 50, 60, 60, 90, 80))
    far = finding("liver", 0.9, (70, 10, 10, 80, 20, 20))
    assert merge_planes([], [PlaneFindings(CORONAL, [coronal])], GRID) == ()
    parts = [PlaneFindings(CORONAL, [coronal, far]), PlaneFindings(SAGITTAL, [sagittal])]
    (merged,) = merge_planes([], parts, GRID)
    assert (merged.members, merged.score, merged.key_slice) == ((), 0.8, 29)
    assert [vote.plane for vote in merged.votes] == ["coronal", "sagittal"]


def test_another_plane_joins_parts_of_an_object_but_not_two_objects_of_a_slice() -> None:
    parts = [
        finding("liver", 0.6, (20, 30, 10, 40, 60, 28), 18),
        finding("liver", 0.7, (20, 30, 32, 40, 60, 50), 18),
    ]
    coronal = PlaneFindings(CORONAL, [finding("liver", 0.8, (20, 50, 40, 40, 90, 70))])
    (merged,) = merge_planes(parts, [coronal], GRID)
    assert [one.slice_number for one in merged.members] == [*range(10, 28), *range(32, 50)]
    beside = [
        finding("kidney", 0.6, (20, 30, 10, 30, 60, 50), 40),
        finding("kidney", 0.7, (31, 30, 10, 40, 60, 50), 40),
    ]
    wide = PlaneFindings(CORONAL, [finding("kidney", 0.8, (20, 50, 40, 40, 90, 70))])
    assert len(merge_planes(beside, [wide], GRID)) == 2


def test_a_volume_above_the_budget_of_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "volume.nii"
    nib.save(nib.Nifti1Image(np.zeros((12, 14, 9), np.uint8), np.eye(4)), path)
    grid = VoxelGrid(np.eye(3), np.zeros(3), (2.0, 2.0, 2.0), (12, 14, 9))
    source = CutVolume(str(path), [SliceReference(str(path), 0)], [cut_in_plane(grid, "coronal")])
    try:
        limit_memory(12 * 14 * 9 - 1)
        with pytest.raises(MedrovError) as raised:
            next(source.frames())
    finally:
        limit_memory(None)
    assert raised.value.code is ErrorCode.TOO_LARGE
