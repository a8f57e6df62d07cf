"""Thumbnails of errors: an image, or the part around a box, with boxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.encode import jpeg_uri
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.records.frame import UInt8Array

Box = tuple[float, ...]
Color = tuple[int, int, int]

JPEG_QUALITY = 85
"""Quality of the JPEG thumbnails."""

MAX_SIDE_PX = 320
"""Longest side of a thumbnail."""
ITEM_COLOR: Color = (255, 140, 0)
"""RGB of the box of the error; colour-blind readers can distinguish the two colours."""
OTHER_COLOR: Color = (64, 180, 255)
"""RGB of the other boxes."""

_CONTEXT = 4.0  # ratio of the sides of a crop and its box
_WHOLE_FROM = 0.7  # a crop of at least this share is replaced by the image
_MIN_CROP_PX = 96  # smallest side of a crop, in pixels
_MAX_ENLARGEMENT = 4.0
_LINE_PX = 2
_DASH_PX = 7
_GAP_PX = 4
_OUTLINE: Color = (0, 0, 0)  # under each line: visible on bright and on coloured tissue


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """A false positive or a missed object.

    Attributes
    ----------
    name
        Name of the image in the report.
    score
        Score of a false positive; None for a miss.
    box_xyxy
        Box in source pixels.
    others
        Class names and boxes to show beside it: true objects for a false positive, detections
        nearby for a miss.
    read
        Function that reads the pixels; null: they are those of the file.
    """

    kind: Literal["false positive", "miss"]
    image_path: Path
    name: str
    class_name: str
    score: float | None
    box_xyxy: tuple[float, float, float, float]
    others: tuple[tuple[str, Box], ...]
    read: Callable[[], UInt8Array] | None = None


def thumbnail_uri(item: GalleryItem) -> str | None:
    """Return an item's picture as a ``data:`` address, or None if its image cannot be read."""
    image = _pixels(item)
    if image is None:
        return None
    drawn = draw_thumbnail(image, item.box_xyxy, [box for _, box in item.others])
    return jpeg_uri(drawn, JPEG_QUALITY)


def _pixels(item: GalleryItem) -> UInt8Array | None:
    if item.read is None:
        return stored_pixels(item.image_path)
    try:
        return item.read()
    except MedrovError:
        return None


def draw_thumbnail(image_rgb: UInt8Array, box_xyxy: Box, others_xyxy: list[Box]) -> UInt8Array:
    """Return the image or the part around a box, no longer than 320 pixels, with boxes and no text.

    The line of the box is solid, those of the others are dashed.

    Parameters
    ----------
    image_rgb
        uint8, (height, width, 3). Not changed.
    box_xyxy, others_xyxy
        In pixels of the image. Those that are not finite are not drawn.
    """
    left, top, right, bottom = _crop(image_rgb.shape[0], image_rgb.shape[1], box_xyxy)
    part = image_rgb[top:bottom, left:right]
    height, width = part.shape[:2]
    scale = min(MAX_SIDE_PX / max(height, width), _MAX_ENLARGEMENT)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrink = scale < 1
    resized = cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    canvas = np.array(resized, dtype=np.uint8)
    for other in others_xyxy:
        _draw(canvas, other, (left, top), scale, OTHER_COLOR, dashed=True)
    _draw(canvas, box_xyxy, (left, top), scale, ITEM_COLOR, dashed=False)
    return canvas


def _crop(height: int, width: int, box_xyxy: Box) -> tuple[int, int, int, int]:
    """Return the part of the image to show, as left, top, right, bottom."""
    whole = (0, 0, width, height)
    if not all(math.isfinite(value) for value in box_xyxy):
        return whole
    x1, y1, x2, y2 = box_xyxy
    side = max(_CONTEXT * (x2 - x1), _CONTEXT * (y2 - y1), _MIN_CROP_PX)
    if side >= _WHOLE_FROM * max(height, width):
        return whole
    left, right = _span((x1 + x2) / 2, side, width)
    top, bottom = _span((y1 + y2) / 2, side, height)
    return left, top, right, bottom


def _span(center: float, side: float, limit: int) -> tuple[int, int]:
    """Return an interval of at most ``side`` pixels around a centre, shifted into ``0..limit``."""
    length = min(round(side), limit)
    start = min(max(round(center - side / 2), 0), limit - length)
    return start, start + length


def _draw(
    canvas: UInt8Array, box_xyxy: Box, origin_xy: tuple[int, int], scale: float, color: Color, *, dashed: bool
) -> None:
    """Draw a box with a dark line under it, clipped to the picture."""
    if len(box_xyxy) != 4 or not all(math.isfinite(value) for value in box_xyxy):
        return
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = ((value - origin) * scale for value, origin in zip(box_xyxy, origin_xy * 2, strict=True))
    if x2 < 0 or y2 < 0 or x1 > width or y1 > height:
        return
    corner = (round(max(x1, 0)), round(max(y1, 0)))
    opposite = (round(min(x2, width - 1)), round(min(y2, height - 1)))
    cv2.rectangle(canvas, corner, opposite, _OUTLINE, _LINE_PX + 2)
    if dashed:
        _draw_dashes(canvas, corner, opposite, color)
    else:
        cv2.rectangle(canvas, corner, opposite, color, _LINE_PX)


def _draw_dashes(
    canvas: UInt8Array, corner_xy: tuple[int, int], opposite_xy: tuple[int, int], color: Color
) -> None:
    """Draw a dashed box; each side starts at its left or upper end."""
    (x1, y1), (x2, y2) = corner_xy, opposite_xy
    for start in range(x1, x2 + 1, _DASH_PX + _GAP_PX):
        end = min(start + _DASH_PX, x2)
        cv2.line(canvas, (start, y1), (end, y1), color, _LINE_PX)
        cv2.line(canvas, (start, y2), (end, y2), color, _LINE_PX)
    for start in range(y1, y2 + 1, _DASH_PX + _GAP_PX):
        end = min(start + _DASH_PX, y2)
        cv2.line(canvas, (x1, start), (x1, end), color, _LINE_PX)
        cv2.line(canvas, (x2, start), (x2, end), color, _LINE_PX)
