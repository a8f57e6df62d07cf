"""Rotated boxes of annotation tools."""

from __future__ import annotations

import math

BoxXywh = tuple[float, float, float, float]


def enclosing_box(box_xywh: BoxXywh, degrees: float, pivot_xy: tuple[float, float]) -> BoxXywh:
    """Return the upright box around a box that is turned clockwise (as seen) about a point.

    Parameters
    ----------
    box_xywh
        Left, top, width, height before the turn, in pixels.
    degrees
        Without a turn the box is returned as it is.
    pivot_xy
        What stays in place, in pixels.
    """
    if degrees % 360 == 0:
        return box_xywh
    x, y, w, h = box_xywh
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(cx - pivot_xy[0], cy - pivot_xy[1]) for cx in (x, x + w) for cy in (y, y + h)]
    # y runs down: this turn is clockwise on the screen.
    xs = [pivot_xy[0] + cos * dx - sin * dy for dx, dy in corners]
    ys = [pivot_xy[1] + sin * dx + cos * dy for dx, dy in corners]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
