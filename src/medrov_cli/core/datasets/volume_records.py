"""Slices of volumes in the image records of COCO files: the field ``volume``."""

from __future__ import annotations

from typing import Any

import numpy as np

from medrov_cli.core.datasets.coco_records import CocoError, CocoImage
from medrov_cli.core.datasets.coco_values import is_number
from medrov_cli.core.records.slice_plane import SlicePlane, Vector
from medrov_cli.core.records.volume_slice import VolumeSlice

VOLUME = "volume"
"""Field of an image: the volume that it is a slice of."""
OBJECT = "object"
"""Field of an annotation: number of its object in the volume, unique within the class."""

_UNIT_SLACK = 1e-3


def volume_slice_to_json(own: VolumeSlice) -> dict[str, Any]:
    """Return the value of the field ``volume``."""
    record: dict[str, Any] = {"id": own.volume, "slice": own.number}
    if own.plane is None:
        return record
    return {
        **record,
        "origin_mm": list(own.plane.origin_mm),
        "right": list(own.plane.right),
        "down": list(own.plane.down),
        "spacing_mm": list(own.plane.spacing_mm),
        "placed": own.is_placed,
    }


def read_volume_slice(image: CocoImage) -> VolumeSlice | None:
    """Return the slice that an image is; null if it is not part of a volume.

    Raises
    ------
    CocoError
        The field has another form.
    """
    value = image.fields.get(VOLUME)
    if value is None:
        return None
    number = value.get("slice") if isinstance(value, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 0 or not value.get("id"):
        raise CocoError(f"image {image.id} has a 'volume' without 'id' and 'slice'")
    try:
        plane = None if value.get("origin_mm") is None else _plane(value)
    except (KeyError, TypeError, ValueError) as error:
        raise CocoError(f"image {image.id} has a 'volume' with an invalid plane") from error
    return VolumeSlice(str(value["id"]), number, plane, bool(value.get("placed", True)))


def read_object_number(fields: Any) -> int:
    """Return the number of an annotation's object; -1 if it has none."""
    value = fields.get(OBJECT)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else -1


def _plane(value: dict[str, Any]) -> SlicePlane:
    right, down = _vector(value["right"]), _vector(value["down"])
    rows_mm, columns_mm = value["spacing_mm"]
    lengths = np.linalg.norm([right, down], axis=1)
    if not (np.abs(lengths - 1) < _UNIT_SLACK).all() or not min(_number(rows_mm), _number(columns_mm)) > 0:
        raise ValueError("directions and spacing")
    return SlicePlane(_vector(value["origin_mm"]), right, down, (float(rows_mm), float(columns_mm)))


def _vector(values: Any) -> Vector:
    x, y, z = map(_number, values)
    return (x, y, z)


def _number(value: Any) -> float:
    if not is_number(value):
        raise ValueError("not a finite number")
    return float(value)
