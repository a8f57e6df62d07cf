"""Findings of phantoms with exact boxes, their places in mm, and their scores."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.findings.find import ClassRule, SliceDetections, find_findings
from medrov_cli.core.findings.finding_scores import (
    combine_scores,
    expected_neighbours,
    single_slice_score,
)
from medrov_cli.core.findings.stack import arrange_slices
from medrov_cli.core.phantoms.abdomen import abdomen_volume
from medrov_cli.core.phantoms.kinds import VOLUME_CLASSES
from medrov_cli.core.records.finding import Finding, SliceReference, VolumeIdentity, VolumeKind
from medrov_cli.core.records.slice_plane import PlacedSlice, SlicePlane

RULES = {name: ClassRule(label) for label, name in enumerate(VOLUME_CLASSES)}

STEP_MM, AXES, ORIGIN_MM = np.array([0.0, 0.0, 3.0]), np.eye(3), np.array([-100.0, 50.0, 20.0])


def placed(
    count: int,
    step: np.ndarray = STEP_MM,
    axes: np.ndarray = AXES,
    spacing: tuple[float, float] = (2.0, 1.5),
    origin: np.ndarray = ORIGIN_MM,
) -> list[PlacedSlice]:
    right, down = (tuple(axis.tolist()) for axis in axes[:2])
    return [
        PlacedSlice(SlicePlane(tuple((origin + number * step).tolist()), right, down, spacing))
        for number in range(count)
    ]


def find(
    slices: list[SliceDetections],
    rules: dict[str, ClassRule],
    positions: list[PlacedSlice] | None = None,
    **fields: object,
) -> tuple[Finding, ...]:
    (stack,) = arrange_slices(positions or placed(len(slices))).stacks
    images = tuple(SliceReference("a.nii", number) for number in range(len(slices)))
    volume = VolumeIdentity("a.nii", VolumeKind.VOLUME_FILE, images, stack.planes, **fields)
    return find_findings(volume, slices, rules, stack)


def slice_of(*boxes: tuple[float, ...], name: str = "liver", score: float = 0.8) -> SliceDetections:
    return SliceDetections(
        np.array(boxes, dtype=np.float64).reshape(-1, 4), np.full(len(boxes), score), (name,) * len(boxes)
    )


@pytest.mark.parametrize("seed", range(3))
def test_each_object_of_a_phantom_is_one_finding_with_its_exact_box(seed: int) -> None:
    phantom = abdomen_volume(seed, slices=16, size=96)
    slices = [
        SliceDetections(
            np.array([drawn.box_xyxy for drawn in objects], dtype=np.float64).reshape(-1, 4),
            np.full(len(objects), 0.9),
            tuple(drawn.class_name for drawn in objects),
        )
        for objects in phantom.slices
    ]
    found = find(slices, RULES)
    drawn = {one.class_name for objects in phantom.slices for one in objects}
    assert sorted(one.class_name for one in found) == sorted(drawn)
    for one in found:
        masks = [
            (number, own.box_xyxy)
            for number, objects in enumerate(phantom.slices)
            for own in objects
            if own.class_name == one.class_name
        ]
        boxes = np.array([box for _, box in masks])
        numbers = [number for number, _ in masks]
        exact = (*boxes[:, :2].min(0), min(numbers), *boxes[:, 2:].max(0), max(numbers) + 1)
        assert one.box_voxels == exact
        assert len(one.members) == len(masks)


def test_sizes_and_places_are_those_worked_out_by_hand() -> None:
    (one,) = find(
        [slice_of(), slice_of((10, 20, 30, 50)), slice_of((12, 20, 32, 60))], {"liver": ClassRule(1)}
    )
    assert one.box_voxels == (10, 20, 1, 32, 60, 3)
    # 22 columns of 1.5 mm, 40 rows of 2 mm, two slices of 3 mm.
    assert one.extent_mm == pytest.approx((33, 80, 6))
    assert one.volume_mm3 == pytest.approx(33 * 80 * 6)
    # The corner of the first pixel is half a pixel before (-100, 50); slices 1 and 2 are at 23 and 26.
    x, y = -100 - 0.75, 50 - 1.0
    assert one.box_mm == pytest.approx((x + 15, y + 40, 21.5, x + 48, y + 120, 27.5))
    assert one.center_mm == pytest.approx((x + 31.5, y + 80, 24.5))
    assert (one.diameter_mm, one.diameter_slice, one.key_slice, one.label) == (80, 2, 2, 1)
    assert [(own.slice_number, own.path, own.frame, own.detection) for own in one.members] == [
        (1, "a.nii", 1, 0),
        (2, "a.nii", 2, 0),
    ]


def test_a_volume_without_a_place_has_sizes_alone() -> None:
    (one,) = find([slice_of((10, 20, 30, 50))] * 2, {"liver": ClassRule(0)}, is_placed=False)
    assert one.extent_mm == pytest.approx((30, 60, 6))
    assert one.box_mm is None
    assert one.center_mm is None


@given(st.integers(0, 2**32 - 1))
def test_place_and_size_of_a_sphere_do_not_depend_on_the_orientation(seed: int) -> None:
    """A sphere in a stack of any orientation, origin and shear has its centre and its diameter."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    axes[2] = np.cross(axes[0], axes[1])
    shear = rng.uniform(-0.5, 0.5, 2)
    step = 2 * axes[2] + shear @ axes[:2]
    origin, centre, radius = rng.uniform(-50, 50, 3), rng.uniform(-20, 20, 3), rng.uniform(6, 15)
    spacing = (0.8, 0.6)
    count = 60
    origin = centre - 30 * step - 20 * axes[0] - 20 * axes[1]
    planes = placed(count, step, axes, spacing, origin)
    slices = []
    for own in planes:
        assert own.plane is not None
        height = float((np.array(own.plane.origin_mm) - centre) @ axes[2])
        if abs(height) >= radius:
            slices.append(slice_of())
            continue
        (x, y), across = own.plane.to_pixels(centre[None])[0], math.sqrt(radius**2 - height**2)
        slices.append(slice_of((x - across / 0.6, y - across / 0.8, x + across / 0.6, y + across / 0.8)))
    (one,) = find(slices, {"liver": ClassRule(0)}, planes)
    assert one.center_mm == pytest.approx(centre, abs=1.01)  # half a step along the normal
    assert one.extent_mm is not None
    assert one.extent_mm[:2] == pytest.approx((2 * radius, 2 * radius), abs=0.2)
    assert one.extent_mm[2] == pytest.approx(2 * radius, abs=2.01)
    assert one.box_mm is not None
    assert np.array(one.box_mm[:3]).max() < np.array(one.box_mm[3:]).max()
    assert all(
        low < middle < high for low, middle, high in zip(one.box_mm[:3], centre, one.box_mm[3:], strict=True)
    )


def turned(z_mm: float, axis: int, degrees: float) -> PlacedSlice:
    """Return an axial slice that is turned about the normal (axis 2) or about its rows (axis 0)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    right = (cosine, sine, 0.0) if axis == 2 else (1.0, 0.0, 0.0)
    down = (-sine, cosine, 0.0) if axis == 2 else (0.0, cosine, sine)
    return PlacedSlice(SlicePlane((-200.0, -200.0, z_mm), right, down, (1.0, 1.0)), (400, 400))


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("degrees", [0.06, 2.0])
def test_places_are_those_of_each_slice_where_slices_are_turned(axis: int, degrees: float) -> None:
    slices = [turned(0, axis, 0), turned(3, axis, degrees), turned(6, axis, degrees)]
    (one,) = find([slice_of(), slice_of(), slice_of((380, 380, 384, 384))], RULES, slices)
    assert slices[2].plane is not None
    place = slices[2].plane.to_patient(np.array([[382, 382]]))[0]
    assert one.center_mm == pytest.approx(place)
    assert one.box_mm is not None
    assert np.array(one.box_mm).reshape(2, 3).mean(0) == pytest.approx(place)


def test_places_are_exact_where_pixels_are_sheared() -> None:
    plane = SlicePlane((-200.0, -250.0, -900.0), (1.0, 0.0, 0.0), (0.0099, 0.99995, 0.0), (1.0, 1.0))
    slices = [
        PlacedSlice(replace(plane, origin_mm=(-200.0, -250.0, -900.0 + 3 * number))) for number in range(3)
    ]
    (one,) = find([slice_of(), slice_of((3, 4, 4, 5)), slice_of()], RULES, slices)
    place = slices[1].plane.to_patient(np.array([[3.5, 4.5]]))[0]
    assert one.center_mm == pytest.approx(place, abs=1e-9)


def test_two_objects_of_a_class_and_two_classes_stay_apart() -> None:
    left, right = (10, 10, 30, 30), (60, 10, 80, 30)
    slices = [slice_of(left, right)] * 3
    assert len(find(slices, {"liver": ClassRule(0)})) == 2
    mixed = [slice_of(left), slice_of(left, name="spleen"), slice_of(left)]
    names = [one.class_name for one in find(mixed, {"liver": ClassRule(0), "spleen": ClassRule(1)})]
    assert sorted(names) == ["liver", "spleen"]


def test_a_single_slice_is_judged_by_the_recall_of_its_class() -> None:
    """Odds of 4 times (1 - 0.8) for each of two neighbours are 0.16: 0.138."""
    slices = [slice_of(), slice_of((10, 10, 30, 30)), slice_of()]
    (free,) = find(slices, {"liver": ClassRule(0)})
    assert free.score == pytest.approx(0.8)
    (kept,) = find(slices, {"liver": ClassRule(0, 0.1, 0.8)})
    assert kept.score == pytest.approx(0.16 / 1.16)
    assert find(slices, {"liver": ClassRule(0, 0.2, 0.8)}) == ()
    assert len(find(slices[1:], {"liver": ClassRule(0, 0.2, 0.8)})) == 1  # one neighbour: odds of 0.8, 0.44
    small = [slice_of(), slice_of((10, 10, 12, 12)), slice_of()]  # 3 x 4 mm in steps of 3 mm
    assert find(small, {"liver": ClassRule(0, 0.2, 0.8)})[0].score == pytest.approx(0.8)


def test_missing_slices_are_no_evidence_and_separate_objects() -> None:
    """Slices at 0, 3, 6, 60 and 63 mm: an object of 30 x 40 mm crosses no slice 54 mm away."""
    whole = placed(22)
    slices = [whole[number] for number in (0, 1, 2, 20, 21)]
    box = slice_of((10, 10, 30, 30))
    found = find([box] * 5, {"liver": ClassRule(0)}, slices)
    assert sorted((one.first_slice, one.last_slice) for one in found) == [(0, 2), (3, 4)]
    single = [slice_of(), slice_of(), box, slice_of(), slice_of()]
    (one,) = find(single, {"liver": ClassRule(0, 0.1, 0.8)}, slices)
    assert one.score == pytest.approx(0.8 / 1.8)  # one neighbour at 3 mm


def test_scores_of_members_are_combined() -> None:
    assert combine_scores(np.array([0.2, 0.9, 0.7])) == pytest.approx(0.8)
    assert combine_scores(np.array([0.4])) == pytest.approx(0.4)
    assert expected_neighbours(10, [4, 4]) == 2
    assert expected_neighbours(10, [4, 5]) == 1
    assert expected_neighbours(10, []) == 0
    assert single_slice_score(1.0, 1, 0.5) == pytest.approx(1, abs=1e-5)
    assert 0 <= single_slice_score(0.0, 2, 1.0) < 1e-5


def test_frames_in_time_have_seconds_and_no_mm() -> None:
    images = tuple(SliceReference("a.mp4", number) for number in range(4))
    video = VolumeIdentity("a.mp4", VolumeKind.VIDEO, images, seconds=(0.0, 0.04, 0.08, 0.12))
    slices = [slice_of(), *[slice_of((10, 10, 30, 30))] * 3]
    (one,) = find_findings(video, slices, {"liver": ClassRule(0)})
    assert one.seconds == (0.04, 0.12)
    assert (one.extent_mm, one.box_mm, one.diameter_mm) == (None, None, None)
