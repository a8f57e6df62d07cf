"""Upright boxes around the shapes of annotation tools: rotated boxes and ellipses."""

from __future__ import annotations

import math

BoxXywh = tuple[float, float, float, float]

_DIGITS = 4


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


def ellipse_box(
    center_xy: tuple[float, float], radii_xy: tuple[float, float], degrees: float = 0.0
) -> BoxXywh:
    """Return the upright box around an ellipse that is turned clockwise (as seen) about its centre.

    Parameters
    ----------
    center_xy, radii_xy
        Centre, and the radii before the turn, in pixels.
    degrees
        Angle of the turn.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half_width = math.hypot(radii_xy[0] * cos, radii_xy[1] * sin)
    half_height = math.hypot(radii_xy[0] * sin, radii_xy[1] * cos)
    return center_xy[0] - half_width, center_xy[1] - half_height, 2 * half_width, 2 * half_height


def ellipse_area(radii_xy: tuple[float, float]) -> float:
    """Return the area of an ellipse."""
    return math.pi * radii_xy[0] * radii_xy[1]


def rounded_box(box_xywh: BoxXywh) -> BoxXywh:
    """Return a box with four digits of a pixel, and without negative zeros."""
    x, y, w, h = (round(value, _DIGITS) + 0.0 for value in box_xywh)
    return x, y, w, h
