"""Non-maximum suppression and the selection of detections."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.records.boxes import FloatArray, IntArray, box_areas
from medrov_cli.core.records.grid_suppression import nms_by_grid

GRID_FROM = 300
"""Number of boxes from which the grid index is faster than comparing each kept box with all of its label:
measured on boxes of one label, six an object."""

MAX_CANDIDATES = 30_000
"""Maximum number of candidates per image before suppression, best first (ultralytics' ``max_nms``)."""


def nms(
    boxes_xyxy: FloatArray,
    scores: FloatArray,
    labels: IntArray,
    iou_threshold: float,
    max_det: int,
    class_agnostic: bool = False,
) -> IntArray:
    """Return the rows kept by greedy non-maximum suppression, highest score first.

    Parameters
    ----------
    boxes_xyxy
        float, (n, 4).
    scores
        float, (n,). Equal scores keep the order of the input.
    labels
        int64, (n,). Boxes of different labels do not suppress each other.
    iou_threshold
        A box with a larger IoU with a kept box of higher score is removed.
    max_det
        Maximum number of rows.
    class_agnostic
        Whether labels are ignored, so that an object has one box.
    """
    if len(scores) >= GRID_FROM:
        own = np.zeros(len(scores), dtype=np.int64) if class_agnostic else labels
        return nms_by_grid(boxes_xyxy, scores, own, iou_threshold)[:max_det]
    order = np.argsort(-scores, kind="stable")
    groups = np.zeros_like(order) if class_agnostic else labels[order]
    # Best first within each label, label after label: a box is compared with boxes of its label only.
    by_label = np.argsort(groups, kind="stable")
    ends = np.searchsorted(groups[by_label], groups, side="right")
    places = np.empty_like(by_label)
    places[by_label] = np.arange(len(by_label))
    boxes = boxes_xyxy[order][by_label].astype(np.float64)
    areas = box_areas(boxes)
    alive = np.ones(len(boxes), dtype=bool)
    kept: list[int] = []
    for row, (place, end) in enumerate(zip(places.tolist(), ends.tolist(), strict=True)):
        if not alive[place]:
            continue
        kept.append(row)
        if len(kept) == max_det:
            break
        rest = slice(place + 1, end)
        box = boxes[place]
        sides = np.minimum(box[2:], boxes[rest, 2:]) - np.maximum(box[:2], boxes[rest, :2])
        sides = np.maximum(sides, 0)
        intersection = sides[:, 0] * sides[:, 1]
        alive[rest] &= intersection <= iou_threshold * (areas[place] + areas[rest] - intersection)
    return np.asarray(order[kept], dtype=np.int64)


def select(
    boxes_xyxy: FloatArray,
    scores: FloatArray,
    *,
    conf: float | FloatArray,
    iou: float,
    max_det: int,
    class_agnostic: bool = False,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the detections of one image, highest score first.

    Parameters
    ----------
    boxes_xyxy
        float, (anchors, 4).
    scores
        float, (anchors, classes). An anchor may be a candidate of several classes.
    conf
        Minimum score; one number, or one per class, (classes,).
    iou, max_det, class_agnostic
        See :func:`nms`.

    Returns
    -------
    boxes_xyxy, scores, labels
        (n, 4), (n,) and int64, (n,).
    """
    anchors, labels = np.nonzero(scores >= conf)
    values = scores[anchors, labels]
    if len(values) > MAX_CANDIDATES:
        best = np.argsort(-values, kind="stable")[:MAX_CANDIDATES]
        anchors, labels, values = anchors[best], labels[best], values[best]
    boxes = boxes_xyxy[anchors]
    kept = nms(boxes, values, labels, iou, max_det, class_agnostic)
    return boxes[kept], values[kept], labels[kept]
