"""Outer box and area of a COCO segmentation: polygons, run lengths, and compressed run lengths.

Runs are counted without building the mask, so that a stated size of any value costs no memory. pycocotools is
not installed with the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.datasets.coco_values import is_number

BoxXywh = tuple[float, float, float, float]

_LARGEST = 1 << 48  # pixels: more than any image, and less than an integer of 64 bits holds
_FEWEST = 6  # numbers of a polygon: three corners
_PAYLOAD_BITS, _SIGN_BIT, _MORE_BIT, _OFFSET = 5, 0x10, 0x20, 48


@dataclass(frozen=True, slots=True)
class Extent:
    """Outer box and area of an object.

    Attributes
    ----------
    box_xywh
        Left, top, width, height in pixels; it contains the last pixel of a mask.
    area
        Square pixels: of the polygons, or the number of mask pixels.
    size_hw
        Size of the mask; None for polygons.
    """

    box_xywh: BoxXywh
    area: float
    size_hw: tuple[int, int] | None = None


def segmentation_extent(value: object) -> Extent | None:
    """Return the extent of a segmentation; None if there is none or it is empty.

    Parameters
    ----------
    value
        The JSON value: a list of polygons, one polygon as a flat list of numbers, or an object with ``size``
        and ``counts`` (a list of runs, or their compressed text), column by column.

    Raises
    ------
    ValueError
        The value is none of these, or the runs do not fill the mask.
    """
    if not value:
        return None
    if isinstance(value, Mapping):
        return _mask_extent(value)
    if not isinstance(value, list):
        raise ValueError("it is neither polygons nor run lengths")
    if all(isinstance(part, Mapping) for part in value):
        masks = [own for own in map(_mask_extent, value) if own is not None]
        return join_extents(masks) if masks else None
    parts = value if all(isinstance(part, list) for part in value) else [value]
    return join_extents([polygon_extent(part) for part in parts])


def polygon_extent(numbers: Sequence[Any]) -> Extent:
    """Return the extent of the polygon x, y, x, y, ...

    Raises
    ------
    ValueError
        It has fewer than three corners, or a value that is not a finite number.
    """
    is_polygon = len(numbers) >= _FEWEST and len(numbers) % 2 == 0
    if not is_polygon or not all(map(is_number, numbers)):
        raise ValueError("it is not a polygon of three or more corners")
    xs, ys = [float(x) for x in numbers[::2]], [float(y) for y in numbers[1::2]]
    return Extent(
        (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)),
        polygon_area(xs, ys),
    )


def polygon_area(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the area of a polygon by its corners (the shoelace formula)."""
    following = zip((*xs[1:], xs[0]), (*ys[1:], ys[0]), strict=True)
    return abs(sum(x * v - u * y for x, y, (u, v) in zip(xs, ys, following, strict=True))) / 2


def decompress_counts(text: str) -> list[int]:
    """Return the runs of COCO's compressed text.

    Each number has groups of five bits, the lowest first; from the third run on it is the difference to the
    run before the last.

    Raises
    ------
    ValueError
        The text is cut off, or has other characters.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - _OFFSET
        if not 0 <= group < 1 << (_PAYLOAD_BITS + 1):
            raise ValueError("the run lengths have a character outside of their range")
        value |= (group & (_MORE_BIT - 1)) << shift
        shift += _PAYLOAD_BITS
        if group & _MORE_BIT:
            continue
        if group & _SIGN_BIT:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the run lengths are cut off")
    return counts


def join_extents(extents: Sequence[Extent]) -> Extent:
    """Return the extent of all parts of an object; at least one is needed."""
    lefts, tops, widths, heights = zip(*(own.box_xywh for own in extents), strict=True)
    left, top = min(lefts), min(tops)
    right = max(x + w for x, w in zip(lefts, widths, strict=True))
    bottom = max(y + h for y, h in zip(tops, heights, strict=True))
    area = sum(own.area for own in extents)
    return Extent((left, top, right - left, bottom - top), area, extents[0].size_hw)


def _mask_extent(mask: Mapping[str, Any]) -> Extent | None:
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
        raise ValueError("its run lengths have no size")
    if not isinstance(counts, list | str):
        raise ValueError("its run lengths have no counts")
    runs = decompress_counts(counts) if isinstance(counts, str) else counts
    if not all(isinstance(run, int) and run >= 0 for run in runs) or sum(runs) != size[0] * size[1]:
        raise ValueError("its run lengths do not fill the mask")
    if size[0] * size[1] > _LARGEST:
        raise ValueError("its mask is too large")
    return runs_extent(np.asarray(runs, dtype=np.int64), size[0], size[1])


def runs_extent(runs: npt.NDArray[np.int64], height: int, width: int) -> Extent | None:
    """Return the extent of the odd runs of a mask that is read column by column."""
    ends = np.cumsum(runs)
    first, last = (ends - runs)[1::2], ends[1::2] - 1
    filled = last >= first
    first, last = first[filled], last[filled]
    if not len(first):
        return None
    left, right = int(first.min() // height), int(last.max() // height)
    # A run that reaches the next column holds the first row of that and the last row of its own.
    is_broken = bool((first // height != last // height).any())
    top = 0 if is_broken else int((first % height).min())
    bottom = height - 1 if is_broken else int((last % height).max())
    area = int((last - first + 1).sum())
    return Extent((left, top, right - left + 1, bottom - top + 1), area, (height, width))
