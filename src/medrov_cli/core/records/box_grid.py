"""Pairs of near boxes by a grid, without the matrix of all pairs.

Boxes are sorted into square cells by their centres, one grid for each pair of size classes (powers of two).
Two boxes with an IoU above ``t`` have centres closer than ``1 - t`` times the longer side, so they lie in
neighbouring cells. Time and memory grow with the number of boxes and of near pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medrov_cli.core.records.boxes import FloatArray, IntArray, box_areas

PAIRS_AT_ONCE = 2_000_000
"""Largest number of pairs in one pair of arrays, except for a single box with more neighbours."""

_LARGEST_IOU = 0.9  # smaller cells than for this IoU have no advantage
_ALL_COLUMNS = (-1, 0, 1)
_NEXT_COLUMN = (1,)


def near_pairs(boxes_xyxy: FloatArray, labels: IntArray, iou: float) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield pairs of boxes with equal labels that contain all pairs with an IoU above ``iou``.

    Parameters
    ----------
    boxes_xyxy
        float, (n, 4).
    labels
        int64, (n,).
    iou
        0 to 1; with 0 the pairs contain all boxes that intersect.

    Yields
    ------
    tuple
        int64, (k,), twice: rows of the boxes of each pair; no pair is repeated.
    """
    if len(boxes_xyxy):
        yield from _gathered(_near_pairs(boxes_xyxy, labels, iou))


def _gathered(pairs: Iterator[tuple[IntArray, IntArray]]) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield pairs in few arrays: most arrays of a grid are short."""
    firsts: list[IntArray] = []
    seconds: list[IntArray] = []
    count = 0
    for first, second in pairs:
        if firsts and count + len(first) > PAIRS_AT_ONCE:
            yield np.concatenate(firsts), np.concatenate(seconds)
            firsts, seconds, count = [], [], 0
        firsts.append(first)
        seconds.append(second)
        count += len(first)
    if firsts:
        yield np.concatenate(firsts), np.concatenate(seconds)


def _near_pairs(boxes_xyxy: FloatArray, labels: IntArray, iou: float) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the pairs of one grid after another; see :func:`near_pairs`."""
    floor = min(iou, _LARGEST_IOU)
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    centers = centers - centers.min(0)
    longest = np.maximum((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(1), 1.0)
    octaves = np.ceil(np.log2(longest)).astype(np.int64)
    reach = math.ceil(math.log2(1 / floor)) if floor > 0 else 64
    groups = np.unique(labels, return_inverse=True)[1].reshape(-1)
    rows_of = {int(octave): np.flatnonzero(octaves == octave) for octave in np.unique(octaves)}
    for large, large_rows in rows_of.items():
        cells = np.floor(centers / ((1 - floor) * 2.0**large)).astype(np.int64) + 1
        across, down = cells.max(0) + 2
        keys = (groups * across + cells[:, 0]) * down + cells[:, 1]
        for small in range(large - reach, large + 1):
            rows = rows_of.get(small)
            if rows is None:
                continue
            if small == large:
                yield from _pairs_within(keys, rows, int(down))
            else:
                yield from _pairs_between(keys, rows, large_rows, int(down), _ALL_COLUMNS)


def _pairs_within(keys: IntArray, rows: IntArray, down: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the pairs of one set of boxes in equal or neighbouring cells, each once."""
    rows = rows[np.argsort(keys[rows], kind="stable")]
    own = keys[rows]
    first = np.arange(1, len(rows) + 1)
    yield from _expand(rows, rows, first, np.searchsorted(own, own + 1, side="right"))
    yield from _pairs_in_columns(own, rows, own, rows, down, _NEXT_COLUMN)


def _pairs_between(
    keys: IntArray, rows: IntArray, others: IntArray, down: int, columns: tuple[int, ...]
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the pairs of two sets of boxes in equal or neighbouring cells of some columns."""
    rows = rows[np.argsort(keys[rows], kind="stable")]
    others = others[np.argsort(keys[others], kind="stable")]
    yield from _pairs_in_columns(keys[rows], rows, keys[others], others, down, columns)


def _pairs_in_columns(
    keys: IntArray,
    rows: IntArray,
    other_keys: IntArray,
    others: IntArray,
    down: int,
    columns: tuple[int, ...],
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the pairs of two sorted sets of boxes: the three cells of a column have consecutive keys."""
    for column in columns:
        middle = keys + column * down
        first = np.searchsorted(other_keys, middle - 1, side="left")
        yield from _expand(rows, others, first, np.searchsorted(other_keys, middle + 1, side="right"))


def _expand(
    rows: IntArray, others: IntArray, first: IntArray, end: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield each row with ``others[first:end]`` of it."""
    counts = np.maximum(end - first, 0)
    totals = np.cumsum(counts)
    start = 0
    while start < len(rows):
        before = totals[start - 1] if start else 0
        stop = max(int(np.searchsorted(totals, before + PAIRS_AT_ONCE, side="right")), start + 1)
        own = counts[start:stop]
        total = int(own.sum())
        if total:
            offsets = np.arange(total) - np.repeat(np.cumsum(own) - own, own)
            places = np.repeat(first[start:stop], own) + offsets
            yield np.repeat(rows[start:stop], own), others[places]
        start = stop


def pair_ious(boxes_xyxy: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Return the IoU of each pair of rows, (k,); 0 if both boxes are empty."""
    intersections, areas = pair_intersections(boxes_xyxy, first, second)
    unions = areas[0] + areas[1] - intersections
    ious = np.divide(intersections, unions, out=np.zeros_like(intersections), where=unions > 0)
    return np.asarray(ious)


def pair_intersections(
    boxes_xyxy: FloatArray, first: IntArray, second: IntArray
) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Return the area of the intersection of each pair, (k,), and the areas of its two boxes."""
    one, two = boxes_xyxy[first], boxes_xyxy[second]
    sides = np.maximum(np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2]), 0)
    areas = box_areas(boxes_xyxy)
    return sides[:, 0] * sides[:, 1], (areas[first], areas[second])
