"""Average precision by pycocotools, the reference: slower, and for one set of images and classes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.coco_records import CocoAnnotation
from medrov_cli.core.datasets.coco_result import CocoResult
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.sections.coco_ap import figures
from medrov_cli.core.metrics.average_precision import AveragePrecision
from medrov_cli.core.metrics.detection_table import DetectionTable
from medrov_cli.core.metrics.matching import MAX_DETECTIONS
from medrov_cli.core.records.boxes import FloatArray, xyxy_to_xywh

VERIFY_TOLERANCE = 1e-9
"""Largest difference of a figure from pycocotools."""


def coco_documents(
    table: DetectionTable, labels: Sequence[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return truth and detections in COCO's form; image ids count from 1, category ids are the labels."""
    truths = zip(
        table.truth_image.tolist(),
        table.truth_label.tolist(),
        xyxy_to_xywh(table.truth_xyxy).tolist(),
        table.truth_area.tolist(),
        table.is_crowd.tolist(),
        strict=True,
    )
    boxes = xyxy_to_xywh(table.xyxy)
    found = zip(
        table.image.tolist(),
        table.label.tolist(),
        boxes.tolist(),
        table.score.tolist(),
        (boxes[:, 2] * boxes[:, 3]).tolist(),
        strict=True,
    )
    document = {
        "info": {},
        "images": [{"id": number} for number in range(1, table.images + 1)],
        "categories": [{"id": int(label), "name": str(label)} for label in labels],
        "annotations": [
            dict(CocoAnnotation.make((number, image + 1, label), box, area, is_crowd=is_crowd).fields)
            for number, (image, label, box, area, is_crowd) in enumerate(truths, 1)
        ],
    }
    return document, [
        dict(CocoResult(image + 1, label, box, score).as_annotation(number, area).fields)
        for number, (image, label, box, score, area) in enumerate(found, 1)
    ]


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


def verify_with_pycocotools(split: ScoredSplit) -> float:
    """Compare the figures of all classes, every class scored on every image, with pycocotools.

    Return the largest difference.

    Raises
    ------
    MedrovError
        ``INTERNAL``: they differ by more than 1e-9.
    """
    labels = range(len(split.dataset.classes))
    reference = reference_scores(split.table, labels, split.max_det)
    apart = 0.0
    for label in labels:
        ours = figures(split.scorer.of_class(label, split.everything[:, label]))
        theirs = figures(reference.get(label))
        for key, value in ours.items():
            other = theirs[key]
            both = value is not None and other is not None
            apart = max(apart, abs((value or 0) - (other or 0)) if both else float(value is not other))
    if apart > VERIFY_TOLERANCE:
        raise MedrovError(
            ErrorCode.INTERNAL,
            f"--verify: our average precision and pycocotools' differ by {apart:.2g}",
            "Please report this with the predictions.",
        )
    return apart
