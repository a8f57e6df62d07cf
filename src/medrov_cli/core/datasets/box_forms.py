"""The form of four numbers of a box: pixels or fractions of the image, corners or left, top, width, height.

A form is judged by evidence: the range of all boxes of a file, their areas, their segmentations, and whether
they leave the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoError
from medrov_cli.core.datasets.coco_values import is_box, is_number

Box = tuple[float, float, float, float]

SCALED = "boxes are fractions of the image and were scaled to pixels"
CORNERS = "boxes are corners (left, top, right, bottom) and were read as such"
EDGE_SLACK = 0.02
"""How far fractions of an image may leave 0 to 1: a box that was rounded, or extends a little beyond it."""
MAY_BE_CORNERS = (
    "boxes extend beyond the image, and would fit as corners (left, top, right, bottom): check the format"
)

_SLACK_PX = 1.0
_AREA_SLACK = 0.01
_EXTENT_SLACK_PX = 1.5
_CLEAR_BOXES, _CLEAR_SHARE = 3, 1 / 3
"""So many boxes that all fit as corners, with this share outside the image otherwise, leave no doubt."""

_CORNER_SHARE = 0.9
"""Least share of corners among the boxes with evidence: areas of masks fit corners now and then."""


@dataclass(frozen=True, slots=True)
class StatedBox:
    """A box with what the file states about its object.

    Attributes
    ----------
    numbers
        As written.
    size_hw
        Of the image; None where it is unknown.
    area
        Square pixels; None where it is not stated.
    extent_xywh
        Outer box of the segmentation; None if there is none.
    """

    numbers: Box
    size_hw: tuple[int, int] | None = None
    area: float | None = None
    extent_xywh: Box | None = None


@dataclass(frozen=True, slots=True)
class BoxForm:
    """The form of all boxes of a file.

    Attributes
    ----------
    are_fractions, are_corners
        Whether numbers are fractions of the image, and left, top, right, bottom.
    note
        A sentence for the user; empty for left, top, width, height in pixels.
    """

    are_fractions: bool = False
    are_corners: bool = False
    note: str = ""

    def box_xywh(self, numbers: Box, height: int, width: int) -> Box:
        """Return left, top, width, height in pixels."""
        a, b, c, d = numbers
        if self.are_corners:
            c, d = c - a, d - b
        return (a * width, b * height, c * width, d * height) if self.are_fractions else (a, b, c, d)


def stated_boxes(
    annotations: Iterable[CocoAnnotation], size_of: Mapping[Any, tuple[int, int] | None]
) -> Iterator[StatedBox]:
    """Yield the boxes that COCO annotations state, with the evidence of their form.

    Parameters
    ----------
    annotations
        Those without a box of four numbers, or with a side of zero, are left out.
    size_of
        Height and width of the image of each image id.
    """
    for own in annotations:
        box, area = own.fields.get("bbox"), own.fields.get("area")
        if not is_box(box) or box[2] == 0 or box[3] == 0:
            continue
        try:
            extent = own.extent
        except CocoError:
            extent = None
        yield StatedBox(
            as_box(box),
            size_of[own.image_id],
            area if is_number(area) else None,
            None if extent is None else extent.box_xywh,
        )


def judge_form(boxes: Sequence[StatedBox]) -> BoxForm:
    """Return the form of the boxes of a file in which left, top, width, height in pixels are expected.

    Raises
    ------
    ValueError
        The boxes are corners by all evidence but their areas, of which there are none.
    """
    fractions = are_fractions([own.numbers for own in boxes])
    scaled = [own for own in map(_in_unit if fractions else _as_is, boxes) if own.size_hw is not None]
    note = SCALED if fractions else ""
    if not scaled or not all(_fits_as_corners(own) for own in scaled):
        return BoxForm(fractions, False, note)
    votes = [vote for vote in map(_vote, scaled) if vote]
    if votes and votes.count("corners") >= _CORNER_SHARE * len(votes):
        return BoxForm(fractions, True, "; ".join(filter(None, (note, CORNERS))))
    leaving = sum(_leaves_as_sizes(own) for own in scaled)
    if not leaving or "sizes" in votes:
        return BoxForm(fractions, False, note)
    if len(scaled) >= _CLEAR_BOXES and leaving >= len(scaled) * _CLEAR_SHARE:
        raise ValueError(
            f"{leaving} of {len(scaled)} boxes leave their image, and all would fit as corners (xyxy)"
        )
    return BoxForm(fractions, False, "; ".join(filter(None, (note, MAY_BE_CORNERS))))


def as_box(numbers: Sequence[float]) -> Box:
    """Return four numbers as a box."""
    a, b, c, d = map(float, numbers)
    return a, b, c, d


def are_fractions(boxes: Iterable[Box]) -> bool:
    """Tell whether all numbers of some boxes are from 0 to 1, nearly, and not all of them whole."""
    numbers = [number for box in boxes for number in box]
    are_near = all(-EDGE_SLACK <= n <= 1 + EDGE_SLACK for n in numbers)
    return are_near and not all(float(n).is_integer() for n in numbers)


def require_upright(box_xywh: Box) -> None:
    """Refuse a box whose right side is left of its left side, or its bottom above its top.

    Raises
    ------
    MedrovError
        ``bad_metadata``: such numbers are another form, or exchanged.
    """
    if box_xywh[2] < 0 or box_xywh[3] < 0:
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            "A box has a negative width or height: its corners are exchanged, or are sizes.",
            "Correct the box, or export the annotations again.",
        )


def require_pixels(boxes_xywh: Sequence[Box]) -> None:
    """Refuse the boxes of an image if they all lie inside its first pixel.

    Raises
    ------
    MedrovError
        ``bad_metadata``: such numbers are fractions of the image.
    """
    if boxes_xywh and are_fractions((x, y, x + w, y + h) for x, y, w, h in boxes_xywh):
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            "All boxes lie inside the first pixel: they are fractions of the image, not pixels.",
            "Export the annotations in pixels.",
        )


def _as_is(own: StatedBox) -> StatedBox:
    return own


def _in_unit(own: StatedBox) -> StatedBox:
    """Return fractions scaled to pixels; areas and segmentations of such files have an unknown unit."""
    if own.size_hw is None:
        return own
    height, width = own.size_hw
    a, b, c, d = own.numbers
    return StatedBox((a * width, b * height, c * width, d * height), own.size_hw)


def _fits_as_corners(own: StatedBox) -> bool:
    a, b, c, d = own.numbers
    height, width = own.size_hw or (0, 0)
    return c > a and d > b and c <= width + _SLACK_PX and d <= height + _SLACK_PX


def _leaves_as_sizes(own: StatedBox) -> bool:
    a, b, c, d = own.numbers
    height, width = own.size_hw or (0, 0)
    return a + c > width + _SLACK_PX or b + d > height + _SLACK_PX


def _vote(own: StatedBox) -> str:
    """Return the form that the segmentation or the area of a box states.

    Returns
    -------
    str
        ``corners``; ``sizes``, also where the object is too large for corners; ``neither`` if the object
        is smaller than both; an empty text without evidence, or if it fits both.
    """
    a, b, c, d = own.numbers
    if own.extent_xywh is not None:
        as_corners = _is_near(own.extent_xywh, (a, b, c - a, d - b))
        as_sizes = _is_near(own.extent_xywh, (a, b, c, d))
        is_larger = not _is_inside(own.extent_xywh, (a, b, c - a, d - b))
        can_be_sizes = _is_inside(own.extent_xywh, (a, b, c, d))
    elif own.area:
        slack = _AREA_SLACK * own.area
        between, inclusive = (
            (c - a) * (d - b),
            (c - a + 1) * (d - b + 1),
        )  # corners may include their last pixel
        as_corners = min(abs(own.area - between), abs(own.area - inclusive)) <= slack
        as_sizes = abs(own.area - c * d) <= slack
        is_larger = own.area > inclusive + slack
        can_be_sizes = own.area <= c * d + slack
    else:
        return ""
    if as_corners:
        return "" if as_sizes else "corners"
    return "sizes" if is_larger and can_be_sizes else "neither"


def _is_near(first: Box, second: Box) -> bool:
    return all(abs(one - other) <= _EXTENT_SLACK_PX for one, other in zip(first, second, strict=True))


def _is_inside(inner: Box, outer: Box) -> bool:
    """Tell whether a box (left, top, width, height) lies in another one."""
    (a, b, c, d), (left, top, width, height) = inner, outer
    beyond = (left - a, top - b, a + c - left - width, b + d - top - height)
    return max(beyond) <= _EXTENT_SLACK_PX
