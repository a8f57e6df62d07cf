"""Detections in the result format of COCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoError, CocoRecord
from medrov_cli.core.datasets.coco_values import is_box, is_number


@dataclass(frozen=True, slots=True)
class CocoResult:
    """One detection.

    Attributes
    ----------
    image_id, category_id
        Identifiers of the image and of the category.
    box_xywh
        Left, top, width, height in pixels of the stored image.
    score
        0 to 1.
    """

    image_id: Any
    category_id: Any
    box_xywh: Sequence[float]
    score: float

    @classmethod
    def of_record(cls, record: CocoRecord, number: int) -> CocoResult:
        """Return the detection of a JSON object; one without a box has that of its segmentation.

        Raises
        ------
        CocoError
            A field is missing or is not what COCO defines; ``number`` names the object.
        """
        ids = record.require_id("image_id"), record.require_id("category_id")
        score, box = record.require("score"), record.fields.get("bbox")
        if box in (None, []) and record.fields.get("segmentation"):
            box = list(CocoAnnotation(record.fields).box_xywh)
        if box is None:
            record.require("bbox")
        if not is_box(box) or min(box[2:]) < 0:
            raise CocoError(f"result {number} has the bbox {box!r}, not x, y, width, height")
        if not is_number(score) or not 0 <= score <= 1:
            raise CocoError(f"result {number} has the score {score!r}, not from 0 to 1")
        return cls(*ids, tuple(map(float, box)), float(score))

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object."""
        ids = {"image_id": self.image_id, "category_id": self.category_id}
        return {**ids, "bbox": list(self.box_xywh), "score": self.score}

    def as_annotation(self, annotation_id: int, area: float | None = None) -> CocoAnnotation:
        """Return the result with an identifier, and where an area is given as an object of that area."""
        more = {} if area is None else {"area": area, "iscrowd": 0}
        return CocoAnnotation({"id": annotation_id, **self.fields, **more})
