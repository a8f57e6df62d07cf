"""The two selections: from the candidates of an engine to detections in source pixels.

They differ in the order of their steps, and so in bytes. ``per_class`` suppresses in model pixels, within
each class. ``one_per_object`` suppresses in source pixels, over all classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray, clip_boxes, flip_boxes
from medrov_cli.core.records.detections import Candidates, ClassCandidates, Detections
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.suppression import MAX_CANDIDATES, nms, select

MAX_OBJECTS = 300
"""Largest number of objects in an image (ultralytics' ``max_det``)."""


def per_class(
    candidates: Candidates | ClassCandidates,
    letterbox: Letterbox,
    scoring: Scoring,
    columns: IntArray,
    learned: BoolArray | None = None,
    *,
    iou: float,
    max_det: int,
) -> Detections:
    """Return detections, highest score first; an object has one per class that reaches its threshold.

    ``max_det`` counts the learned classes on their own, so that they displace no detection of a text.

    Parameters
    ----------
    candidates
        The engine's output for the image.
    letterbox
        The transform from source to model pixels.
    scoring
        Thresholds on raw scores, calibration, and maps of boxes.
    columns
        int64, (k,): classes that are scored on the image; none: there are no detections.
    learned
        bool, (classes,): learned classes; null: none.
    iou, max_det
        See :func:`medrov_cli.core.records.suppression.nms`.
    """
    if learned is not None and learned[columns].any() and not learned[columns].all():
        parts = [
            per_class(candidates, letterbox, scoring, own, iou=iou, max_det=max_det)
            for own in (columns[~learned[columns]], columns[learned[columns]])
        ]
        return _by_score(parts)
    if not len(columns):
        return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    if isinstance(candidates, ClassCandidates):
        boxes, raw, labels = _select_pairs(candidates, scoring.thresholds, columns, iou, max_det)
    else:
        scores = candidates.scores
        if len(columns) < scores.shape[1]:
            scores = scores[:, columns]
        boxes, raw, labels = select(
            candidates.boxes_xyxy, scores, conf=scoring.thresholds[columns], iou=iou, max_det=max_det
        )
        labels = columns[labels]
    shown = scoring.shown(raw, labels)
    order = np.argsort(-shown, kind="stable")  # calibration can change the order of classes
    boxes, shown, labels = boxes[order], shown[order], labels[order]
    boxes = scoring.mapped(boxes, labels, letterbox.size)
    kept = scoring.distinct(boxes, shown, labels)
    boxes = clip_boxes(letterbox.to_source(boxes[kept]), *letterbox.source_hw)
    return Detections(boxes, shown[kept], labels[kept])


def _select_pairs(
    candidates: ClassCandidates, thresholds: FloatArray, columns: IntArray, iou: float, max_det: int
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return boxes, scores and classes of pairs, highest score first, after suppression where it is due."""
    counts = np.isin(candidates.labels, columns) & (candidates.scores >= thresholds[candidates.labels])
    boxes, scores = candidates.boxes_xyxy[counts], candidates.scores[counts]
    labels = candidates.labels[counts]
    if candidates.is_suppressed:
        kept = np.argsort(-scores, kind="stable")[:max_det]
    else:
        kept = nms(boxes, scores, labels, iou, max_det)
    return boxes[kept], scores[kept], labels[kept]


def _by_score(parts: Sequence[Detections]) -> Detections:
    """Return the detections of several selections, highest score first."""
    boxes = np.concatenate([part.boxes_xyxy for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    return Detections(boxes, scores, labels).subset(np.argsort(-scores, kind="stable"))


def one_per_object(
    candidates: Candidates,
    letterbox: Letterbox,
    scoring: Scoring,
    class_ids: IntArray,
    *,
    is_mirrored: bool,
    iou: float,
) -> Detections:
    """Return one detection per object over all classes, highest score first.

    Parameters
    ----------
    candidates
        The engine's output for the image, or for its mirror image.
    letterbox
        The transform from source to model pixels.
    scoring
        Thresholds on raw scores, calibration, and maps of boxes.
    class_ids
        int64, (columns,): class of each column in the image; -1: none.
    is_mirrored
        Whether the input of the engine was the mirror image.
    iou
        See :func:`suppress_over_classes`.
    """
    anchors, columns = np.nonzero(candidates.scores >= scoring.thresholds)
    shown = scoring.shown(candidates.scores[anchors, columns], columns)
    boxes, labels = candidates.boxes_xyxy[anchors], class_ids[columns]
    boxes = scoring.mapped(boxes, columns, letterbox.size)
    if is_mirrored:
        boxes = flip_boxes(boxes, letterbox.input_hw[1])
    boxes = clip_boxes(letterbox.to_source(boxes), *letterbox.source_hw)
    known = labels >= 0
    return suppress_over_classes(boxes[known], shown[known], labels[known], iou)


def suppress_over_classes(
    boxes_xyxy: FloatArray, scores: FloatArray, labels: IntArray, iou: float
) -> Detections:
    """Return one detection per object, highest score first: suppression ignores the class.

    An object of an annotated or an impossible class thus gives no detection of another class.
    """
    best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    boxes_xyxy, scores, labels = boxes_xyxy[best], scores[best], labels[best]
    kept = nms(boxes_xyxy, scores, labels, iou, MAX_OBJECTS, class_agnostic=True)
    return Detections(boxes_xyxy[kept], scores[kept], labels[kept])
