"""COCO average precision, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.boxes import FloatArray, IntArray, xyxy_to_xywh

MAX_DETECTIONS = 300
"""Detections an image that count. COCO's 100 is less than the nuclei of a histology tile."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """Truth and detections of one image.

    Attributes
    ----------
    truth_xyxy, truth_labels
        float, (n, 4), and int64, (n,).
    boxes_xyxy, scores, labels
        float, (m, 4); float, (m,); int64, (m,).
    """

    truth_xyxy: FloatArray
    truth_labels: IntArray
    boxes_xyxy: FloatArray
    scores: FloatArray
    labels: IntArray


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """AP of one class: at IoU 0.5, and the mean over 0.5 to 0.95."""

    ap50: float
    ap: float


def average_precision(images: Sequence[ImageResult], labels: Sequence[int]) -> Mapping[int, AveragePrecision]:
    """Return the AP of each of ``labels`` that has a ground-truth box in ``images``.

    Detections of other classes are left out: what is not annotated here is neither right nor
    wrong.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth: list[dict[str, object]] = []
    found: list[dict[str, object]] = []
    for image_id, image in enumerate(images, start=1):
        for box, label in zip(xyxy_to_xywh(image.truth_xyxy), image.truth_labels, strict=True):
            truth.append(_annotation(len(truth) + 1, image_id, int(label), box))
        wanted = np.isin(image.labels, labels)
        boxes = xyxy_to_xywh(image.boxes_xyxy)[wanted]
        for box, label, score in zip(boxes, image.labels[wanted], image.scores[wanted], strict=True):
            found.append(_annotation(len(found) + 1, image_id, int(label), box) | {"score": float(score)})
    if not truth:
        return {}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        reference = COCO()
        reference.dataset = {
            "images": [{"id": i} for i in range(1, len(images) + 1)],
            "categories": [{"id": int(label)} for label in labels],
            "annotations": truth,
        }
        reference.createIndex()
        results = COCO()
        results.dataset = {**reference.dataset, "annotations": found}
        results.createIndex()
        evaluation = COCOeval(reference, results, "bbox")
        evaluation.params.maxDets = [1, 10, MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # (thresholds, recalls, classes, areas, max detections)
    scores = {}
    for row, label in enumerate(evaluation.params.catIds):
        values = precision[:, :, row, 0, -1]
        if (values > -1).any():
            scores[int(label)] = AveragePrecision(float(values[0].mean()), float(values.mean()))
    return scores


def _annotation(identity: int, image_id: int, label: int, box_xywh: FloatArray) -> dict[str, object]:
    return {
        "id": identity,
        "image_id": image_id,
        "category_id": label,
        "bbox": [float(v) for v in box_xywh],
        "area": float(box_xywh[2] * box_xywh[3]),
        "iscrowd": 0,
    }
