"""Schema ``medrov.detect/1``: the JSON record of an image or of a failed input, to and from `Detections`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame, Identifiers, ModelIdentity

DETECT_SCHEMA = "medrov.detect/1"

SCORE_DIGITS = 5
BOX_DIGITS = 2
"""Finer digits than these differ between machines and say nothing: a hundredth of a pixel (or mm)."""


def item_to_record(item: Detections | Failure) -> dict[str, Any]:
    """Return the JSON record of an image, or of an input that failed."""
    if isinstance(item, Failure):
        return {"schema": DETECT_SCHEMA, "path": item.path, "error": item.error.as_dict()}
    return detections_to_record(item)


def detections_to_record(detections: Detections) -> dict[str, Any]:
    """Return the JSON record of an image; boxes without an area after rounding are left out.

    Raises
    ------
    ValueError
        The detections have no frame or no model.
    """
    frame, model = detections.frame, detections.model
    if frame is None or model is None:
        raise ValueError("a record needs the frame and the model of the detections")
    return {
        "schema": DETECT_SCHEMA,
        "path": frame.path,
        "frame": frame.index,
        "frame_count": frame.frame_count,
        "width": frame.width,
        "height": frame.height,
        "modality": None if frame.modality is None else frame.modality.value,
        "window": None if frame.window is None else frame.window.as_dict(),
        "pixel_spacing_mm": None if frame.pixel_spacing_mm is None else list(frame.pixel_spacing_mm),
        **(frame.identifiers or Identifiers()).as_dict(),
        "detections": _rows(detections, frame),
        "model": model.as_dict(),
        "elapsed_ms": detections.elapsed_ms,
        "warnings": list(frame.warnings),
    }


def record_to_detections(record: Mapping[str, Any], classes: Sequence[str]) -> Detections:
    """Return the detections of an image's record: its rounded boxes, of all of which have an area.

    The frame has path, number and size alone.

    Parameters
    ----------
    record
        Of schema ``medrov.detect/1``, of an image.
    classes
        All classes of the run: their order gives the labels.
    """
    label_of = {name: label for label, name in enumerate(classes)}
    rows = record["detections"]
    boxes = np.array([row["box_xyxy"] for row in rows], dtype=np.float64).reshape(-1, 4)
    model = record["model"]
    return Detections(
        boxes,
        np.array([row["score"] for row in rows], dtype=np.float64),
        np.array([label_of[row["class"]] for row in rows], dtype=np.int64),
        classes=tuple(classes),
        frame=Frame.of_size(
            record["height"],
            record["width"],
            record["path"],
            index=record["frame"],
            frame_count=record["frame_count"],
        ),
        model=ModelIdentity(**model),
        elapsed_ms=record["elapsed_ms"],
    )


def _rows(detections: Detections, frame: Frame) -> list[dict[str, Any]]:
    """Return the elements of ``detections``, rounded; those without an area lay in the border."""
    rows = []
    for box, score, name in zip(
        detections.boxes_xyxy.tolist(), detections.scores.tolist(), detections.class_names, strict=True
    ):
        x1, y1, x2, y2 = (round(value, BOX_DIGITS) for value in box)
        if not (x2 > x1 and y2 > y1):
            continue
        size_mm = None
        if frame.pixel_spacing_mm is not None:
            between_rows_mm, between_columns_mm = frame.pixel_spacing_mm
            width_mm, height_mm = (x2 - x1) * between_columns_mm, (y2 - y1) * between_rows_mm
            size_mm = [round(width_mm, BOX_DIGITS), round(height_mm, BOX_DIGITS)]
        rows.append(
            {
                "class": name,
                "score": round(score, SCORE_DIGITS),
                "box_xyxy": [x1, y1, x2, y2],
                "size_mm": size_mm,
            }
        )
    return rows
