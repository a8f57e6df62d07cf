"""The two selections: from the candidates of an engine to detections in source pixels.

They differ in the order of their steps, and so in bytes. ``per_class`` suppresses in model pixels, within
each class. ``one_per_object`` suppresses in source pixels, over all classes.
"""

from __future__ import annotations

import numpy as np

from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.boxes import FloatArray, IntArray, clip_boxes, flip_boxes
from medrov_cli.core.records.detections import Candidates, Detections
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.suppression import MAX_CANDIDATES, nms, select

MAX_OBJECTS = 300
"""Largest number of objects in an image (ultralytics' ``max_det``)."""


def per_class(
    candidates: Candidates,
    letterbox: Letterbox,
    scoring: Scoring,
    columns: IntArray,
    *,
    iou: float,
    max_det: int,
) -> Detections:
    """Return detections, several of an object where several classes claim it, best shown score first.

    Parameters
    ----------
    candidates
        The engine's output for the image.
    letterbox
        The transform from source to model pixels.
    scoring
        Thresholds on raw scores, and calibration.
    columns
        int64, (k,): the classes that count for the image.
    iou, max_det
        See :func:`medrov_cli.core.records.suppression.nms`.
    """
    scores = candidates.scores
    if len(columns) < scores.shape[1]:
        scores = scores[:, columns]
    boxes, raw, labels = select(
        candidates.boxes_xyxy, scores, conf=scoring.thresholds[columns], iou=iou, max_det=max_det
    )
    shown = scoring.shown(raw, columns[labels])
    order = np.argsort(-shown, kind="stable")  # calibration may change which class is surer
    boxes, shown, labels = boxes[order], shown[order], labels[order]
    boxes = clip_boxes(letterbox.to_source(boxes), *letterbox.source_hw)
    return Detections(boxes, shown, columns[labels])


def one_per_object(
    candidates: Candidates,
    letterbox: Letterbox,
    scoring: Scoring,
    class_ids: IntArray,
    *,
    is_mirrored: bool,
    iou: float,
) -> Detections:
    """Return one detection an object, whatever its class, best score first.

    Parameters
    ----------
    candidates
        The engine's output for the image, or for its mirror image.
    letterbox
        The transform from source to model pixels.
    scoring
        Thresholds on raw scores, and calibration.
    class_ids
        int64, (columns,): the class of the image that each column finds; -1: none.
    is_mirrored
        The engine was given the mirror image.
    iou
        See :func:`suppress_over_classes`.
    """
    anchors, columns = np.nonzero(candidates.scores >= scoring.thresholds)
    shown = scoring.shown(candidates.scores[anchors, columns], columns)
    boxes, labels = candidates.boxes_xyxy[anchors], class_ids[columns]
    if is_mirrored:
        boxes = flip_boxes(boxes, letterbox.size)
    boxes = clip_boxes(letterbox.to_source(boxes), *letterbox.source_hw)
    known = labels >= 0
    return suppress_over_classes(boxes[known], shown[known], labels[known], iou)


def suppress_over_classes(
    boxes_xyxy: FloatArray, scores: FloatArray, labels: IntArray, iou: float
) -> Detections:
    """Return one detection an object, best score first: suppression ignores the class.

    So an object of an annotated class, or of an impossible one, is not taken for another one.
    """
    best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    boxes_xyxy, scores, labels = boxes_xyxy[best], scores[best], labels[best]
    kept = nms(boxes_xyxy, scores, labels, iou, MAX_OBJECTS, class_agnostic=True)
    return Detections(boxes_xyxy[kept], scores[kept], labels[kept])
