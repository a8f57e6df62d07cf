"""The same figures by pycocotools, the reference: slower, and for one set of images and classes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.metrics.average_precision import AveragePrecision
from medrov_cli.core.metrics.detection_table import DetectionTable
from medrov_cli.core.metrics.matching import MAX_DETECTIONS
from medrov_cli.core.records.boxes import FloatArray, IntArray, xyxy_to_xywh


def coco_documents(
    table: DetectionTable, labels: Sequence[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return truth and detections in COCO's form; image ids count from 1, category ids are the labels."""
    truths = _annotations(table.truth_image, table.truth_label, table.truth_xyxy)
    for truth, area, crowd in zip(truths, table.truth_area.tolist(), table.is_crowd.tolist(), strict=True):
        truth |= {"area": area, "iscrowd": int(crowd)}
    found = _annotations(table.image, table.label, table.xyxy)
    for detection, score in zip(found, table.score.tolist(), strict=True):
        detection["score"] = score
    document = {
        "info": {},
        "images": [{"id": number} for number in range(1, table.images + 1)],
        "categories": [{"id": int(label), "name": str(label)} for label in labels],
        "annotations": truths,
    }
    return document, found


def reference_scores(
    table: DetectionTable, labels: Sequence[int], max_det: int = MAX_DETECTIONS
) -> Mapping[int, AveragePrecision]:
    """Return pycocotools' figures of each class that has an object."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    document, found = coco_documents(table, labels)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        reference, results = COCO(), COCO()
        reference.dataset = document
        reference.createIndex()
        results.dataset = document | {"annotations": found}
        results.createIndex()
        evaluation = COCOeval(reference, results, "bbox")
        evaluation.params.maxDets = [1, 10, max_det]
        evaluation.evaluate()
        evaluation.accumulate()
    # Axes are thresholds, recalls, classes, areas, limits; recall has no axis of recalls.
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    scores = {}
    for row, label in enumerate(evaluation.params.catIds):
        if (precision[:, :, row, 0, -1] > -1).any():
            scores[int(label)] = _figures(precision[:, :, row, :, -1], recall[:, row, 0])
    return scores


def _figures(precision: FloatArray, recall: FloatArray) -> AveragePrecision:
    every, *sizes = np.moveaxis(precision, -1, 0)
    small, medium, large = (float(part.mean()) if (part > -1).all() else None for part in sizes)
    ar_1, ar_10, ar_max = recall.mean(0).tolist()
    return AveragePrecision(
        ap50=float(every[0].mean()),
        ap=float(every.mean()),
        ap75=float(every[5].mean()),
        ap_small=small,
        ap_medium=medium,
        ap_large=large,
        ar_1=ar_1,
        ar_10=ar_10,
        ar_max=ar_max,
    )


def _annotations(image: IntArray, label: IntArray, boxes_xyxy: FloatArray) -> list[dict[str, Any]]:
    boxes = xyxy_to_xywh(boxes_xyxy)
    columns = zip(
        image.tolist(), label.tolist(), boxes.tolist(), (boxes[:, 2] * boxes[:, 3]).tolist(), strict=True
    )
    return [
        {"id": number, "image_id": i + 1, "category_id": c, "bbox": box, "area": area, "iscrowd": 0}
        for number, (i, c, box, area) in enumerate(columns, start=1)
    ]
