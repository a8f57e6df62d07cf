"""Linking of boxes through slices: optimal assignment of neighbours, gaps, and cuts.

The result does not depend on the order of the boxes of a slice, nor on the direction in which the slices are
passed: first neighbouring slices are assigned, then loose ends over ever larger gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.findings.assignment import cheapest_assignment
from medrov_cli.core.findings.stack import MISSING_STEP
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray, box_areas, iou_matrix

MIN_IOU = 0.2
"""Boxes of neighbouring slices with at least this IoU may be one object."""
MAX_SHIFT = 0.5
"""So may boxes whose centres differ by at most this fraction of the larger box's half width and height."""
MAX_GAP = 3
"""Steps that a link may span whatever its length: up to two slices without a detection."""
MAX_GAP_SHARE = 0.2
"""A link may also span this part of the shorter side of both boxes, in mm: thin slices have longer gaps."""
MAX_GROWTH = 4.0
"""Ratio of areas from which a link between two boxes joins two objects, unless one side of it is an end."""

Chain = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SliceBoxes:
    """Boxes of one class in all slices.

    Attributes
    ----------
    slices
        int64, (n,): slice of each box, ascending.
    boxes_uv
        float, (n, 4): boxes in a common frame of all slices, in mm, or in pixels if the spacing is unknown.
    positions
        float, (slices,): position of each slice along the normal in mm; null: unknown, or frames in time.
    """

    slices: IntArray
    boxes_uv: FloatArray
    positions: FloatArray | None = None


def link_boxes(given: SliceBoxes) -> list[Chain]:
    """Return the boxes of each object, as indices that ascend with the slice.

    Each box is in exactly one chain, and a chain has at most one box of each slice.
    """
    count = len(given.slices)
    order = np.lexsort((*given.boxes_uv.T, given.slices))
    slices, boxes = given.slices[order], given.boxes_uv[order].astype(np.float64)
    rows_of = {int(number): np.flatnonzero(slices == number) for number in np.unique(slices)}
    following = np.full(count, -1, dtype=np.int64)
    preceding = np.full(count, -1, dtype=np.int64)
    step_mm = _step_mm(given.positions)
    for gap in range(1, _most_steps(given.positions, boxes) + 1):
        for number, rows in rows_of.items():
            others = rows_of.get(number + gap)
            if others is None:
                continue
            ends, starts = rows[following[rows] < 0], others[preceding[others] < 0]
            for end, start in _assign(
                boxes, ends, starts, gap, _gap_mm(given.positions, number, gap, step_mm)
            ):
                following[end], preceding[start] = start, end
    chains = [_follow(start, following) for start in np.flatnonzero(preceding < 0).tolist()]
    pieces = [piece for chain in chains for piece in _cut(chain, boxes)]
    return sorted(tuple(int(order[row]) for row in piece) for piece in pieces)


def _most_steps(positions: FloatArray | None, boxes: FloatArray) -> int:
    """Return the largest number of steps that a link between any two boxes may span."""
    if positions is None or len(positions) < 2 or not len(boxes):
        return MAX_GAP
    step_mm = float(np.abs(np.diff(positions)).min())
    longest_mm = MAX_GAP_SHARE * float(_shorter_side(boxes).max())
    return min(max(MAX_GAP, int(longest_mm / max(step_mm, 1e-9))), len(positions) - 1)


def _step_mm(positions: FloatArray | None) -> float:
    """Return the median step; 0 if it is unknown."""
    return 0.0 if positions is None or len(positions) < 2 else float(np.median(np.abs(np.diff(positions))))


def _gap_mm(positions: FloatArray | None, number: int, gap: int, step_mm: float) -> float | None:
    """Return the length of a gap; null if it is unknown, and for neighbours with no slice missing."""
    if positions is None:
        return None
    length = float(abs(positions[number + gap] - positions[number]))
    return None if gap == 1 and length < MISSING_STEP * step_mm else length


def _assign(
    boxes: FloatArray, ends: IntArray, starts: IntArray, gap: int, gap_mm: float | None
) -> list[tuple[int, int]]:
    """Return the pairs of the assignment with the lowest cost, among those that may be one object."""
    if not (len(ends) and len(starts)):
        return []
    first, second = boxes[ends], boxes[starts]
    iou = iou_matrix(first, second)
    shift = _shift(first, second)
    allowed = (iou >= MIN_IOU) | (shift <= MAX_SHIFT)
    if gap_mm is not None:  # a gap that is longer than the object is wide separates two objects
        side = _longer_side if gap <= MAX_GAP else _shorter_side
        share = 1.0 if gap <= MAX_GAP else MAX_GAP_SHARE
        allowed &= gap_mm <= share * np.minimum(side(first)[:, None], side(second)[None])
    cost = 1 - iou + np.minimum(shift, 1)
    return [(int(ends[row]), int(starts[column])) for row, column in _cheapest(allowed, cost)]


def _cheapest(allowed: BoolArray, cost: FloatArray) -> list[tuple[int, int]]:
    """Return as many allowed pairs as possible, and of these the assignment with the lowest cost."""
    if allowed.sum(0).max() <= 1 and allowed.sum(1).max() <= 1:  # no box has a choice
        rows, columns = np.nonzero(allowed)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))
    return cheapest_assignment(allowed, cost)


def _shift(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the distance of centres of each pair, in half widths and heights of the larger box, (n, m)."""
    centers = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (first, second)]
    sides = [boxes[:, 2:] - boxes[:, :2] for boxes in (first, second)]
    distance = np.abs(centers[0][:, None] - centers[1][None])
    half = np.maximum(sides[0][:, None], sides[1][None]) / 2
    return np.asarray((distance / np.maximum(half, 1e-9)).max(-1))


def _longer_side(boxes: FloatArray) -> FloatArray:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(1))


def _shorter_side(boxes: FloatArray) -> FloatArray:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).min(1))


def _follow(start: int, following: npt.NDArray[np.int64]) -> list[int]:
    chain = [start]
    while (last := int(following[chain[-1]])) >= 0:
        chain.append(last)
    return chain


def _cut(chain: Sequence[int], boxes: FloatArray) -> list[list[int]]:
    """Cut a chain where the area jumps, unless one side is a single box: the cap of an object is small."""
    areas = np.maximum(box_areas(boxes[list(chain)]), 1e-9)
    ratios = np.abs(np.log(areas[1:] / areas[:-1]))
    at = [
        link
        for link in np.flatnonzero(ratios > np.log(MAX_GROWTH)).tolist()
        if 1 <= link <= len(chain) - 3  # boxes on either side: link + 1 and the rest
    ]
    pieces, first = [], 0
    for link in at:
        pieces.append(list(chain[first : link + 1]))
        first = link + 1
    return [*pieces, list(chain[first:])]
