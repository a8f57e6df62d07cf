"""Linking of boxes through slices: properties, gaps, crossings and cuts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.findings.linking import MAX_GAP, Chain, SliceBoxes, link_boxes

Sphere = tuple[float, float, float, float, float, float]
"""Centre and radii along columns, rows and slices."""


def sections(ellipsoid: Sphere, slices: int) -> list[tuple[int, list[float]]]:
    """Return slice and box of every section of an ellipsoid with at least half a pixel."""
    x, y, z, rx, ry, rz = ellipsoid
    found = []
    for number in range(slices):
        rest = 1 - ((number + 0.5 - z) / rz) ** 2
        if rest > 0 and rx * rest**0.5 > 0.25:
            share = rest**0.5
            found.append((number, [x - rx * share, y - ry * share, x + rx * share, y + ry * share]))
    return found


def boxes_of(rows: Sequence[tuple[int, list[float]]], positions: np.ndarray | None = None) -> SliceBoxes:
    return SliceBoxes(
        np.array([number for number, _ in rows], dtype=np.int64),
        np.array([box for _, box in rows], dtype=np.float64).reshape(-1, 4),
        positions,
    )


def as_rows(chains: list[Chain], rows: Sequence[tuple[int, list[float]]]) -> set[frozenset[object]]:
    """Return chains as sets of slices and boxes, whatever the indices are."""
    return {frozenset((rows[index][0], *rows[index][1]) for index in chain) for chain in chains}


ELLIPSOIDS = st.tuples(
    st.floats(0, 300),
    st.floats(0, 300),
    st.floats(2, 38),
    st.floats(2, 60),
    st.floats(2, 60),
    st.floats(1, 30),
)


def draw_ellipsoids(seed: int) -> list[Sphere]:
    """Return up to six ellipsoids that overlap in part, none equal to another."""
    rng = np.random.default_rng(seed)
    low, high = (0, 0, 2, 2, 2, 1), (150, 150, 38, 60, 60, 30)
    return [tuple(rng.uniform(low, high).tolist()) for _ in range(int(rng.integers(1, 7)))]


@given(ELLIPSOIDS)
def test_sections_of_an_ellipsoid_are_one_chain(ellipsoid: Sphere) -> None:
    rows = sections(ellipsoid, 40)
    assert len(link_boxes(boxes_of(rows))) == (1 if rows else 0)


@given(st.integers(0, 2**32 - 1))
def test_order_of_boxes_and_direction_of_slices_have_no_influence(seed: int) -> None:
    ellipsoids = draw_ellipsoids(seed)
    rows = [row for own in ellipsoids for row in sections(own, 40)]
    chains = link_boxes(boxes_of(rows))
    assert sorted(index for chain in chains for index in chain) == list(range(len(rows)))
    for chain in chains:
        numbers = [rows[index][0] for index in chain]
        assert numbers == sorted(set(numbers))
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = [rows[index] for index in order]
    expected = as_rows(chains, rows)
    assert as_rows(link_boxes(boxes_of(shuffled)), shuffled) == expected
    turned = [(39 - number, box) for number, box in rows]
    mirrored = {frozenset((39 - item[0], *item[1:]) for item in chain) for chain in expected}
    assert as_rows(link_boxes(boxes_of(turned)), turned) == mirrored


@given(st.integers(-500, 500), st.integers(-500, 500), st.integers(0, 2**32 - 1))
def test_translation_has_no_influence(dx: int, dy: int, seed: int) -> None:
    rows = [row for own in draw_ellipsoids(seed) for row in sections(own, 40)]
    moved = [(number, [box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy]) for number, box in rows]
    assert link_boxes(boxes_of(rows)) == link_boxes(boxes_of(moved))


def test_two_columns_that_come_close_stay_apart() -> None:
    """The better assignment of both wins, where each box alone would take the same neighbour."""
    rows = []
    for number in range(10):
        rows.append((number, [10.0 + number, 10, 30 + number, 30]))
        rows.append((number, [40.0 - number, 10, 60 - number, 30]))
    chains = link_boxes(boxes_of(rows))
    assert [[rows[index][1][0] - 10 == rows[index][0] for index in chain] for chain in chains] == [
        [True] * 10,
        [False] * 10,
    ]


@pytest.mark.parametrize("gap", range(1, MAX_GAP + 2))
def test_a_gap_is_bridged_up_to_a_length(gap: int) -> None:
    rows = [(0, [0.0, 0, 20, 20]), (1, [0.0, 0, 20, 20]), (1 + gap, [0.0, 0, 20, 20])]
    assert len(link_boxes(boxes_of(rows))) == (1 if gap <= MAX_GAP else 2)


def test_a_gap_in_mm_may_not_be_longer_than_the_object_is_wide() -> None:
    rows = [(0, [0.0, 0, 20, 20]), (2, [0.0, 0, 20, 20])]
    assert len(link_boxes(boxes_of(rows, np.array([0.0, 9.0, 18.0])))) == 1
    assert len(link_boxes(boxes_of(rows, np.array([0.0, 11.0, 22.0])))) == 2


@pytest.mark.parametrize(("hole_mm", "count"), [(9.0, 1), (11.0, 2)])
def test_a_link_over_missing_slices_may_not_be_longer_than_the_object_is_wide(
    hole_mm: float, count: int
) -> None:
    rows = [(number, [0.0, 0, 10, 10]) for number in range(6)]
    positions = np.array([0, 1, 2, 2 + hole_mm, 3 + hole_mm, 4 + hole_mm])
    assert len(link_boxes(boxes_of(rows, positions))) == count
    assert len(link_boxes(boxes_of(rows, -positions))) == count


def test_thin_slices_have_longer_gaps() -> None:
    """In steps of 1 mm, a gap may be a fifth of the shorter side: 20 mm of 100."""
    box = [0.0, 0, 100, 120]
    positions = np.arange(22) * 1.0
    assert len(link_boxes(boxes_of([(0, box), (20, box)], positions))) == 1
    assert len(link_boxes(boxes_of([(0, box), (21, box)], positions))) == 2


def test_a_jump_of_place_separates_objects() -> None:
    rows = [(0, [0.0, 0, 20, 20]), (1, [0.0, 0, 20, 20]), (2, [15.0, 0, 35, 20]), (3, [15.0, 0, 35, 20])]
    assert link_boxes(boxes_of(rows)) == [(0, 1), (2, 3)]


def test_a_jump_of_size_separates_long_objects_but_no_cap() -> None:
    small, large = [90.0, 90, 110, 110], [50.0, 50, 150, 150]
    rows = [(0, small), (1, small), (2, large), (3, large)]
    assert link_boxes(boxes_of(rows)) == [(0, 1), (2, 3)]
    assert link_boxes(boxes_of(rows[1:])) == [(0, 1, 2)]


def test_no_boxes_have_no_chains() -> None:
    assert link_boxes(boxes_of([])) == []
