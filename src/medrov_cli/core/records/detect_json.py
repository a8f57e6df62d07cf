"""Schema ``medrov.detect/1``: the JSON record of an image or of a failed input, to and from `Detections`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame, Identifiers, ModelIdentity
from medrov_cli.core.records.tiling import Tiling

DETECT_SCHEMA = "medrov.detect/1"

SCORE_DIGITS = 5
BOX_DIGITS = 2
"""Decimal places of coordinates: finer ones differ between machines. A hundredth of a pixel (or mm)."""


def item_to_record(item: Detections | Failure) -> dict[str, Any]:
    """Return the JSON record of an image or of a failed input."""
    if isinstance(item, Failure):
        return {"schema": DETECT_SCHEMA, "path": item.path, "error": item.error.as_dict()}
    return detections_to_record(item)


def detections_to_record(detections: Detections) -> dict[str, Any]:
    """Return the JSON record of an image; boxes without an area after rounding are left out.

    Raises
    ------
    ValueError
        If the detections have no frame or no model.
    """
    frame, model = detections.frame, detections.model
    if frame is None or model is None:
        raise ValueError("a record needs the frame and the model of the detections")
    kind = detections.kind
    probability = None if kind is None else kind.probability
    return {
        "schema": DETECT_SCHEMA,
        "path": frame.path,
        "frame": frame.index,
        "frame_count": frame.frame_count,
        "width": frame.width,
        "height": frame.height,
        "modality": None if frame.modality is None else frame.modality.value,
        "modality_source": None if frame.modality_source is None else frame.modality_source.value,
        "image_kind": None if kind is None else kind.name,
        "image_kind_probability": None if probability is None else round(probability, SCORE_DIGITS),
        "window": None if frame.window is None else frame.window.as_dict(),
        "pixel_spacing_mm": None if frame.pixel_spacing_mm is None else list(frame.pixel_spacing_mm),
        **(frame.identifiers or Identifiers()).as_dict(),
        "detections": _rows(detections, frame),
        "model": model.as_dict(),
        "elapsed_ms": detections.elapsed_ms,
        "warnings": list(frame.warnings),
        **({} if detections.tiling is None else {"tiling": detections.tiling.as_dict()}),
    }


def record_to_detections(record: Mapping[str, Any], classes: Sequence[str]) -> Detections:
    """Return the detections of an image's record, with rounded boxes.

    The frame has path, number and size only.

    Parameters
    ----------
    record
        Record of an image, of schema ``medrov.detect/1``.
    classes
        All classes of the run, in the order of the labels.
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
        tiling=Tiling.from_dict(record["tiling"]) if "tiling" in record else None,
    )


def _rows(detections: Detections, frame: Frame) -> list[dict[str, Any]]:
    """Return the elements of ``detections``, rounded, without boxes in the letterbox's border.

    Those of an image in tiles have ``box_um``: millimetres have too few digits for cells.
    """
    rows = []
    scale_um = None
    if detections.tiling is not None and frame.pixel_spacing_mm is not None:
        scale_um = tuple(spacing * 1000 for spacing in reversed(frame.pixel_spacing_mm))
    for box, score, name in zip(
        detections.boxes_xyxy.tolist(), detections.scores.tolist(), detections.class_names, strict=True
    ):
        x1, y1, x2, y2 = (round(value, BOX_DIGITS) for value in box)
        if not (x2 > x1 and y2 > y1):
            continue
        size_mm = None
        spacing_mm = frame.spacing_in((x1, y1, x2, y2))
        if spacing_mm is not None:
            between_rows_mm, between_columns_mm = spacing_mm
            width_mm, height_mm = (x2 - x1) * between_columns_mm, (y2 - y1) * between_rows_mm
            size_mm = [round(width_mm, BOX_DIGITS), round(height_mm, BOX_DIGITS)]
        rows.append(
            {
                "class": name,
                "score": round(score, SCORE_DIGITS),
                "box_xyxy": [x1, y1, x2, y2],
                "size_mm": size_mm,
                **({} if scale_um is None else {"box_um": _box_um((x1, y1, x2, y2), scale_um)}),
            }
        )
    return rows


def _box_um(box_xyxy: Sequence[float], scale_um: Sequence[float]) -> list[float]:
    """Return a box in micrometres from the top-left corner of the image, given those per pixel (x, y)."""
    return [round(value * scale_um[axis % 2], BOX_DIGITS) for axis, value in enumerate(box_xyxy)]
