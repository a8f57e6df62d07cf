"""From closed contours to mask pixels: a pure function on arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_SNAP_PX = 1e-3
"""Coordinates that are this close to a whole pixel are on it: decimal strings in a file have 16 characters,
and whoever traces masks puts his points on pixel centres."""


def polygon_mask(polygons: Sequence[FloatArray], rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centre is inside an odd number of polygons, or on the line of one.

    So a contour within another one is a hole, and one within that an island, in whatever order and
    direction they are given; the line itself always belongs to the object.

    Parameters
    ----------
    polygons
        float64, (n, 2) each: column and row of their points, 0 being the centre of the first pixel. The
        last point is joined to the first. One point is a polygon, too.
    rows, columns
        Size of the mask.

    Returns
    -------
    ndarray
        bool, (rows, columns). What is outside of the image is cut off.
    """
    mask = np.zeros((rows, columns), dtype=np.bool_)
    polygons = [_snapped(points) for points in polygons if len(points)]
    if not polygons:
        return mask
    starts = np.concatenate(polygons)
    ends = np.concatenate([np.roll(points, -1, axis=0) for points in polygons])
    first = max(0, math.ceil(starts[:, 1].min()))
    last = min(rows - 1, math.floor(starts[:, 1].max()))
    for row in range(first, last + 1):
        for low, high in (*_inside(starts, ends, row), *_along(starts, ends, row)):
            left, right = max(0, math.ceil(low - _SNAP_PX)), min(columns - 1, math.floor(high + _SNAP_PX))
            mask[row, left : right + 1] |= left <= right
    return mask


def _snapped(points: FloatArray) -> FloatArray:
    whole = np.rint(points)
    return np.where(np.abs(points - whole) <= _SNAP_PX, whole, points)


def _inside(starts: FloatArray, ends: FloatArray, row: int) -> list[tuple[float, float]]:
    """Return where a row enters and leaves: each line counts for its upper end, not for its lower one."""
    crosses = (starts[:, 1] <= row) != (ends[:, 1] <= row)
    start, end = starts[crosses], ends[crosses]
    share = (row - start[:, 1]) / (end[:, 1] - start[:, 1])
    at = np.sort(start[:, 0] + share * (end[:, 0] - start[:, 0])).tolist()
    return list(zip(at[::2], at[1::2], strict=True))


def _along(starts: FloatArray, ends: FloatArray, row: int) -> list[tuple[float, float]]:
    """Return the lines that run along a row, and the corners on it, which may be their polygon's lowest."""
    flat = (starts[:, 1] == row) & (ends[:, 1] == row)
    lines = np.sort(np.stack([starts[flat, 0], ends[flat, 0]], axis=-1), axis=-1).tolist()
    corners = starts[starts[:, 1] == row, 0].tolist()
    return [*((low, high) for low, high in lines), *((at, at) for at in corners)]


def crosses_itself(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Tell whether two edges of a closed polygon cross; those that only touch do not."""
    points = np.column_stack([xs, ys])
    starts, ends = points, np.roll(points, -1, axis=0)
    for start, end in zip(starts, ends, strict=True):
        sides = _side(start, end, starts) * _side(start, end, ends)
        if ((sides < 0) & (_side(starts, ends, start) * _side(starts, ends, end) < 0)).any():
            return True
    return False


def _side(start: FloatArray, end: FloatArray, point: FloatArray) -> FloatArray:
    """Return on which side of the lines from start to end the points are: above 0, below 0, or 0."""
    along, toward = end - start, point - start
    return np.asarray(along[..., 0] * toward[..., 1] - along[..., 1] * toward[..., 0])
