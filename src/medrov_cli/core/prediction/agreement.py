"""Agreement of several views of an image: pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medrov_cli.core.records.boxes import FloatArray, IntArray, iou_matrix
from medrov_cli.core.records.detections import Found
from medrov_cli.core.records.suppression import MAX_CANDIDATES, nms


def one_per_object(boxes_xyxy: FloatArray, scores: FloatArray, labels: IntArray, nms_iou: float) -> Found:
    """Return one proposal an object, best score first: suppression does not look at the class.

    So an object of an annotated class, or of one that cannot be, is not taken for another one.
    """
    best = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    boxes_xyxy, scores, labels = boxes_xyxy[best], scores[best], labels[best]
    kept = nms(boxes_xyxy, scores, labels, nms_iou, MAX_OBJECTS, class_agnostic=True)
    return Found(boxes_xyxy[kept], scores[kept], labels[kept])


def agreed(views: Sequence[Found], needed: IntArray, agree_iou: float, nms_iou: float) -> Found:
    """Return the proposals that enough views share, one an object, best score first.

    Parameters
    ----------
    views
        What each view sees.
    needed
        int64, (classes,): so many views must have a box of the class with an IoU of at least
        ``agree_iou``; the one that it is from is one of them.
    agree_iou, nms_iou
        Thresholds.
    """
    boxes = np.concatenate([view.boxes_xyxy for view in views])
    scores = np.concatenate([view.scores for view in views])
    labels = np.concatenate([view.labels for view in views])
    seen_by = np.repeat(np.arange(len(views)), [len(view.scores) for view in views])
    same = (labels[:, None] == labels[None]) & (iou_matrix(boxes, boxes) >= agree_iou)
    np.fill_diagonal(same, True)  # a box without an area overlaps not even itself
    votes = sum(same[:, seen_by == view].any(1).astype(np.int64) for view in range(len(views)))
    shared = votes >= needed[labels]
    return one_per_object(boxes[shared], scores[shared], labels[shared], nms_iou)


def needed_votes(agree: int | None, answers: Sequence[IntArray], class_count: int) -> IntArray:
    """Return how many views must see an object of each class, int64, (classes,), at least 1.

    Parameters
    ----------
    agree
        The number that is wanted; null: all.
    answers
        For each view the classes that it can answer. A mirror image cannot show the left one of a
        pair whose right one is no class: such a class needs no more votes than there can be.
    class_count
        Number of classes.
    """
    able = np.zeros(class_count, dtype=np.int64)
    for classes in answers:
        able[np.unique(classes)] += 1
    return np.maximum(able if agree is None else np.minimum(able, agree), 1)


MAX_OBJECTS = 300
"""Proposals that one view may have (ultralytics' ``max_det``)."""
