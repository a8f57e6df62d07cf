"""Regions of Label Studio: their labels, and the upright boxes around their shapes.

Lengths are percents of the image's width and height. A region is one result with labels, or a shape and a
result of the type ``labels`` with one id. Results of other kinds (choices, texts, ratings) are attributes of
a region or of the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.coco_records import CROWD_FLAGS
from medrov_cli.core.datasets.coco_values import is_flag_set
from medrov_cli.core.datasets.readers.shared.brush_masks import decode_brush
from medrov_cli.core.datasets.readers.shared.mask_boxes import objects_in
from medrov_cli.core.datasets.readers.shared.shape_boxes import (
    BoxXywh,
    ellipse_area,
    ellipse_box,
    enclosing_box,
    rounded_box,
)
from medrov_cli.core.datasets.segmentations import polygon_extent
from medrov_cli.core.records.annotations import Annotation

HINT = "Export from Label Studio as JSON (not JSON-MIN), and give that file."
_LABELS = "labels"
_SHAPES = ("rectangle", "polygon", "ellipse", "brush")
_DIGITS = 4
_Shape = tuple[BoxXywh, float | None]


def region_annotations(results: Sequence[Any], height: int, width: int) -> tuple[Annotation, ...]:
    """Return one annotation for each label of each region.

    Raises
    ------
    MedrovError
        ``bad_metadata``: a region has no label, no area, or another kind of shape.
    """
    for result in results:
        if not isinstance(result, dict) or not isinstance(result.get("type"), str):
            kind = result.get("type") if isinstance(result, dict) else None
            raise bad_task(f"has a region of the type {kind}, which is not read")
        if isinstance(result.get("id"), dict | list):
            raise bad_task("has a region whose id is no text")
    labelled = {own.get("id") for own in results if own["type"] == _LABELS}
    shape_of = {own.get("id"): own for own in results if own["type"] in _SHAPES}
    found: list[Annotation] = []
    for result in results:
        kind = result["type"]
        if kind in _SHAPES and result.get("id") not in labelled:
            raise bad_task(f"has a {kind} without a label")
        if kind.endswith(_LABELS) and kind.removesuffix(_LABELS) in (*_SHAPES, ""):
            found += _annotations(result, shape_of.get(result.get("id"), result), height, width)
        elif kind.endswith(_LABELS) or kind.startswith(("keypoint", "video")):
            raise bad_task(f"has a region of the type {kind}, which is not read")
    return tuple(found)


def stated_size(results: Sequence[Any]) -> tuple[int, int] | None:
    """Return height and width of the image as the results state them; None where they state none.

    Raises
    ------
    MedrovError
        ``bad_metadata``: they state two sizes.
    """
    known = [own for own in results if isinstance(own, dict)]
    sizes = [(own.get("original_height"), own.get("original_width")) for own in known]
    stated = {(h, w) for h, w in sizes if isinstance(h, int) and isinstance(w, int) and h > 0 and w > 0}
    if len(stated) > 1:
        raise bad_task("has regions of images of two sizes")
    return stated.pop() if stated else None


def bad_task(what: str, hint: str = HINT) -> MedrovError:
    """Return the error of a task that cannot be read as it is meant."""
    return MedrovError(ErrorCode.BAD_METADATA, f"The task {what}.", hint)


def _annotations(
    result: Mapping[str, Any], shape: Mapping[str, Any], height: int, width: int
) -> list[Annotation]:
    value = result.get("value")
    labels = value.get(result["type"]) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(labels, list) or not labels:
        raise bad_task(f"has a {result['type'].removesuffix(_LABELS) or 'region'} without a label")
    if result.get("image_rotation") or shape.get("image_rotation"):
        raise bad_task(
            "has an image that was rotated in Label Studio", "Undo the rotation, and check its boxes."
        )
    given = value if _reader_of(value) is not None else shape.get("value")
    read = _reader_of(given) if isinstance(given, dict) else None
    if read is None or not isinstance(given, dict):
        raise bad_task("has a region without a shape that has an area")
    box, area = read(given, height, width)
    meta = result.get("meta")
    is_crowd = isinstance(meta, dict) and any(is_flag_set(meta.get(flag)) for flag in CROWD_FLAGS)
    area = None if area is None else round(area, _DIGITS)
    return [Annotation(str(label).strip(), rounded_box(box), area, is_crowd) for label in labels]


def _rectangle(value: Mapping[str, Any], height: int, width: int) -> _Shape:
    """Return the box around a rectangle, turned clockwise about its corner in pixels."""
    x, y, w, h = (_number(value, key) for key in ("x", "y", "width", "height"))
    box = (x * width / 100, y * height / 100, w * width / 100, h * height / 100)
    return enclosing_box(box, _number(value, "rotation"), box[:2]), None


def _ellipse(value: Mapping[str, Any], height: int, width: int) -> _Shape:
    x, y, rx, ry = (_number(value, key) for key in ("x", "y", "radiusX", "radiusY"))
    radii = (rx * width / 100, ry * height / 100)
    center = (x * width / 100, y * height / 100)
    return ellipse_box(center, radii, _number(value, "rotation")), ellipse_area(radii)


def _polygon(value: Mapping[str, Any], height: int, width: int) -> _Shape:
    try:
        extent = polygon_extent(
            [c * size / 100 for x, y in value["points"] for c, size in ((x, width), (y, height))]
        )
    except (TypeError, ValueError, OverflowError):
        raise bad_task("has a polygon without three corners") from None
    return extent.box_xywh, extent.area


def _brush(value: Mapping[str, Any], height: int, width: int) -> _Shape:
    try:
        found = objects_in(decode_brush(value["rle"], height, width), components=False)
    except (TypeError, ValueError, OverflowError):
        raise bad_task("has a brush region whose run lengths do not fit the image") from None
    if not found:
        raise bad_task("has a brush region without pixels")
    own = found[0]
    return (own.left, own.top, own.width, own.height), own.area


_READERS: tuple[tuple[str, Callable[[Mapping[str, Any], int, int], _Shape]], ...] = (
    ("rle", _brush),
    ("points", _polygon),
    ("radiusX", _ellipse),
    ("width", _rectangle),
)


def _reader_of(value: Mapping[str, Any]) -> Callable[[Mapping[str, Any], int, int], _Shape] | None:
    """Return the reader of a shape by the key that only it has."""
    return next((read for key, read in _READERS if key in value), None)


def _number(value: Mapping[str, Any], key: str) -> float:
    number = value.get(key, 0 if key == "rotation" else None)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise bad_task(f"has a region without a number in {key}")
    return float(number)
