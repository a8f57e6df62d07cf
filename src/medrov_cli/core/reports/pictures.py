"""Thumbnails of what went wrong: an image, or the part around a box, with boxes drawn on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from medrov_cli.core.pixels.encode import jpeg_uri
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.records.frame import UInt8Array

Box = tuple[float, ...]
Color = tuple[int, int, int]

JPEG_QUALITY = 85
"""Of thumbnails in a page."""

MAX_SIDE_PX = 320
"""Longest side of a thumbnail."""
ITEM_COLOR: Color = (255, 140, 0)
"""RGB of the box that the item is about. The two are told apart by the colour-blind too."""
OTHER_COLOR: Color = (64, 180, 255)
"""RGB of the boxes around it."""

_CONTEXT = 4.0  # a crop is this many times as long as the box
_WHOLE_FROM = 0.7  # a crop of this share of the image or more is not worth it
_MIN_CROP_PX = 96  # tiny boxes need surroundings to be recognised
_MAX_ENLARGEMENT = 4.0
_LINE_PX = 2
_DASH_PX = 7
_GAP_PX = 4
_OUTLINE: Color = (0, 0, 0)  # under every line: visible on bright and on coloured tissue


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """One wrong detection or one object that was not found.

    Attributes
    ----------
    name
        What the image is called in the report.
    score
        Of a false positive; None for a miss.
    box_xyxy
        In source pixels.
    others
        Class names and boxes to show beside it: true objects for a false positive, detections
        nearby for a miss.
    """

    kind: Literal["false positive", "miss"]
    image_path: Path
    name: str
    class_name: str
    score: float | None
    box_xyxy: tuple[float, float, float, float]
    others: tuple[tuple[str, Box], ...]


def thumbnail_uri(item: GalleryItem) -> str | None:
    """Return an item's picture as a ``data:`` address, or None if its image cannot be read."""
    image = stored_pixels(item.image_path)
    if image is None:
        return None
    drawn = draw_thumbnail(image, item.box_xyxy, [box for _, box in item.others])
    return jpeg_uri(drawn, JPEG_QUALITY)


def draw_thumbnail(image_rgb: UInt8Array, box_xyxy: Box, others_xyxy: list[Box]) -> UInt8Array:
    """Return the image or the part around a box, no longer than 320 pixels, with boxes and no text.

    The box is drawn in a whole line, the others in dashes.

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
    """Return a stretch of at most ``side`` pixels around a centre, pushed inside ``0..limit``."""
    length = min(round(side), limit)
    start = min(max(round(center - side / 2), 0), limit - length)
    return start, start + length


def _draw(
    canvas: UInt8Array, box_xyxy: Box, origin_xy: tuple[int, int], scale: float, color: Color, *, dashed: bool
) -> None:
    """Draw a box, with a dark line under it; where it leaves the picture, its side is at the edge."""
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
    """Draw a box in dashes, each side from its left or upper end."""
    (x1, y1), (x2, y2) = corner_xy, opposite_xy
    for start in range(x1, x2 + 1, _DASH_PX + _GAP_PX):
        end = min(start + _DASH_PX, x2)
        cv2.line(canvas, (start, y1), (end, y1), color, _LINE_PX)
        cv2.line(canvas, (start, y2), (end, y2), color, _LINE_PX)
    for start in range(y1, y2 + 1, _DASH_PX + _GAP_PX):
        end = min(start + _DASH_PX, y2)
        cv2.line(canvas, (x1, start), (x1, end), color, _LINE_PX)
        cv2.line(canvas, (x2, start), (x2, end), color, _LINE_PX)
