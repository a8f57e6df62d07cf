"""EXIF orientation: sizes and boxes of an image as it is stored and as it is shown.

The tag (EXIF 2.3, Orientation) states which side of the shown image the first row and the first column of the
stored pixels are.
"""

from __future__ import annotations

BoxXywh = tuple[float, float, float, float]

UPRIGHT = 1
"""The stored image is the shown one."""

_TRANSPOSED = frozenset({5, 6, 7, 8})
_FROM_RIGHT = frozenset({2, 3, 7, 8})  # the stored column falls where the shown axis rises
_FROM_BOTTOM = frozenset({3, 4, 6, 7})  # the same for the stored row


def shown_size(stored_hw: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return height and width of the shown image."""
    height, width = stored_hw
    return (width, height) if orientation in _TRANSPOSED else (height, width)


def box_to_stored(box_xywh: BoxXywh, orientation: int, stored_hw: tuple[int, int]) -> BoxXywh:
    """Return a box of the shown image in pixels of the stored image."""
    x, y, w, h = box_xywh
    height, width = stored_hw
    if orientation in _TRANSPOSED:
        x, y, w, h = y, x, h, w
    return _mirrored((x, y, w, h), orientation, height, width)


def box_to_shown(box_xywh: BoxXywh, orientation: int, stored_hw: tuple[int, int]) -> BoxXywh:
    """Return a box of the stored image in pixels of the shown image."""
    x, y, w, h = _mirrored(box_xywh, orientation, *stored_hw)
    return (y, x, h, w) if orientation in _TRANSPOSED else (x, y, w, h)


def _mirrored(box_xywh: BoxXywh, orientation: int, height: int, width: int) -> BoxXywh:
    x, y, w, h = box_xywh
    if orientation in _FROM_RIGHT:
        x = width - x - w
    if orientation in _FROM_BOTTOM:
        y = height - y - h
    return x, y, w, h
