"""Annotations of an image as arrays: boxes, labels, areas and numbers of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.datasets.coco_records import CocoAnnotation
from medrov_cli.core.datasets.volume_records import read_object_number
from medrov_cli.core.records.boxes import Float64Array, IntArray, box_areas, clip_boxes, xywh_to_xyxy


def annotation_arrays(
    annotations: Sequence[CocoAnnotation], size_hw: tuple[int, int], category_rows: Mapping[Any, int]
) -> tuple[Float64Array, IntArray, Float64Array]:
    """Return boxes, labels and areas of the annotations whose box has an area inside the image."""
    boxes = _clipped(annotations, size_hw)
    labels = np.asarray([category_rows[a.category_id] for a in annotations], dtype=np.int64)
    own = box_areas(boxes)
    given = [a.area for a in annotations]
    areas = np.asarray([o if g is None else g for g, o in zip(given, own, strict=True)], dtype=np.float64)
    solid = own > 0
    return boxes[solid], labels[solid], areas[solid]


def object_numbers(annotations: Sequence[CocoAnnotation], size_hw: tuple[int, int]) -> IntArray:
    """Return the numbers of the objects whose box has an area inside the image; see `annotation_arrays`."""
    numbers = np.asarray([read_object_number(a.fields) for a in annotations], dtype=np.int64)
    return np.asarray(numbers[box_areas(_clipped(annotations, size_hw)) > 0])


def _clipped(annotations: Sequence[CocoAnnotation], size_hw: tuple[int, int]) -> Float64Array:
    boxes = xywh_to_xyxy(np.asarray([a.box_xywh for a in annotations], dtype=np.float64).reshape(-1, 4))
    return np.asarray(clip_boxes(boxes, *size_hw))
