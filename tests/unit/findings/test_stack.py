"""Order of slices: oblique, tilted, uneven, missing, repeated, refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.findings.regular_grid import regular_grid
from medrov_cli.core.findings.stack import (
    DUPLICATE_WARNING,
    LOCALIZER_WARNING,
    TILT_WARNING,
    UNEVEN_WARNING,
    arrange_slices,
)
from medrov_cli.core.records.finding import LinkRefusal
from medrov_cli.core.records.plane_cut import VoxelGrid
from medrov_cli.core.records.plane_votes import PlanesRefusal
from medrov_cli.core.records.slice_plane import PlacedSlice, SlicePlane


def axial(*z_mm: float, shift_mm: float = 0.0) -> list[PlacedSlice]:
    """Return axial slices of 0.5 mm, each shifted to the back by a part of its height."""
    return [
        PlacedSlice(
            SlicePlane((-50.0, shift_mm * z, z), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5)),
            (64, 80),
            float(number),
        )
        for number, z in enumerate(z_mm)
    ]


def test_slices_are_ordered_along_their_normal() -> None:
    found = arrange_slices(axial(5, 0, 10))
    (stack,) = found.stacks
    assert stack.order == (1, 0, 2)
    assert stack.step_mm == 5
    assert stack.bounds_w_mm.tolist() == [[-2.5, 2.5], [2.5, 7.5], [7.5, 12.5]]
    assert found.warnings == ()


def test_slices_in_reverse_keep_their_order() -> None:
    (stack,) = arrange_slices(axial(10, 5, 0)).stacks
    assert stack.order == (0, 1, 2)
    assert stack.bounds_w_mm.tolist() == [[7.5, 12.5], [2.5, 7.5], [-2.5, 2.5]]


@given(st.integers(0, 2**32 - 1))
def test_order_of_files_has_no_influence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    right, down = (tuple(axis.tolist()) for axis in axes[:2])
    normal = np.cross(axes[0], axes[1])
    start = rng.uniform(-200, 200, 3)
    slices = [
        PlacedSlice(
            SlicePlane(tuple((start + 3 * number * normal).tolist()), right, down, (1.0, 0.7)), (9, 9)
        )
        for number in range(6)
    ]
    order = rng.permutation(6)
    (stack,) = arrange_slices([slices[index] for index in order]).stacks
    numbers = [int(order[index]) for index in stack.order]
    assert numbers in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0])
    assert stack.step_mm == pytest.approx(3)


def test_a_missing_slice_is_noticed_and_makes_no_slice_thicker() -> None:
    found = arrange_slices(axial(0, 2, 4, 8, 10))
    assert found.warnings == (
        "1 slice(s) of the volume are missing: its steps are 2.00 mm, and larger in 1 place(s).",
    )
    assert found.stacks[0].bounds_w_mm.tolist() == [[-1, 1], [1, 3], [3, 5], [7, 9], [9, 11]]


def test_uneven_steps_are_said() -> None:
    found = arrange_slices(axial(0, 2, 4.5, 6.5))
    assert found.warnings == (UNEVEN_WARNING.format(2, 2.5),)


def test_a_tilted_gantry_is_said_and_exact() -> None:
    found = arrange_slices(axial(0, 2, 4, shift_mm=0.4))
    assert found.warnings == (TILT_WARNING,)
    assert found.stacks[0].offsets_uvw_mm[:, 1].tolist() == pytest.approx([-0.25, 0.55, 1.35])


def test_localizers_are_left_out() -> None:
    scout = replace(axial(50)[0], is_localizer=True)
    found = arrange_slices([scout, *axial(0, 2)])
    assert found.stacks[0].order == (1, 2)
    assert found.warnings == (LOCALIZER_WARNING.format(1),)
    assert arrange_slices([scout, scout]).refusal is LinkRefusal.LOCALIZERS


def test_equally_many_slices_at_all_positions_are_points_in_time() -> None:
    found = arrange_slices([*axial(0, 2, 4), *axial(0, 2, 4)])
    assert [stack.order for stack in found.stacks] == [(0, 1, 2), (3, 4, 5)]


def test_equal_positions_may_differ_in_the_last_digit() -> None:
    """Multiples of 2.0005 mm lie between two micrometres."""
    first, second, third = ([2.0005 * n + noise for n in range(10)] for noise in (0, 1e-6, -1e-6))
    found = arrange_slices(axial(*first, *second, *third))
    assert [stack.order for stack in found.stacks] == [tuple(range(n, n + 10)) for n in (0, 10, 20)]


@pytest.mark.parametrize("step_mm", [1e-3, 5e-4, 1e-5])
def test_steps_of_micrometres_are_steps(step_mm: float) -> None:
    found = arrange_slices(axial(*(100 + step_mm * number for number in range(20))))
    (stack,) = found.stacks
    assert stack.order == tuple(range(20))
    assert stack.step_mm == pytest.approx(step_mm)


def test_second_slices_at_some_positions_are_left_out() -> None:
    found = arrange_slices([*axial(0, 2, 4), axial(2)[0]])
    assert found.warnings == (DUPLICATE_WARNING.format(1),)
    assert found.stacks[0].order == (0, 3, 2)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"plane": None}, LinkRefusal.NO_POSITIONS),
        ({"size_hw": (32, 80)}, LinkRefusal.MIXED_SIZES),
        ({"right": (0.0, 1.0, 0.0), "down": (1.0, 0.0, 0.0)}, LinkRefusal.MIXED_ORIENTATIONS),
        ({"spacing_mm": (0.6, 0.5)}, LinkRefusal.MIXED_SIZES),
        ({"down": (0.6, 0.8, 0.0)}, LinkRefusal.SHEARED_PIXELS),
    ],
)
def test_what_cannot_be_linked_is_refused_by_name(change: dict[str, object], refusal: LinkRefusal) -> None:
    slices = axial(0, 2, 4)
    own = slices[1]
    if set(change) & {"plane", "size_hw"}:
        slices[1] = replace(own, **change)
    else:
        slices[1] = replace(own, plane=replace(own.plane, **change))
    found = arrange_slices(slices)
    assert (found.stacks, found.refusal) == ((), refusal)
    assert "not linked" in found.warnings[-1]


@pytest.mark.parametrize(("turn", "is_regular"), [(0.0, True), (1e-3, True), (0.02, False)])
def test_slices_that_are_turned_are_no_grid(turn: float, is_regular: bool) -> None:
    slices = axial(0, 2, 4)
    assert slices[1].plane is not None
    plane = replace(slices[1].plane, right=(1.0, turn, 0.0), down=(-turn, 1.0, 0.0))
    (stack,) = arrange_slices([slices[0], replace(slices[1], plane=plane), slices[2]]).stacks
    found = regular_grid(stack, (64, 80))
    assert found is PlanesRefusal.TILTED_GANTRY if not is_regular else isinstance(found, VoxelGrid)


def test_one_position_is_no_volume() -> None:
    for positions in ((3, 3), (3, 3 + 1e-6)):
        assert arrange_slices(axial(*positions)).refusal is LinkRefusal.NO_POSITIONS
