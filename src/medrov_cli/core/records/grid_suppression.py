"""Non-maximum suppression of any number of boxes by a grid index."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.records.box_grid import near_pairs, pair_intersections
from medrov_cli.core.records.boxes import FloatArray, IntArray

_ROUNDS = 64  # rounds of array operations before edges are resolved one by one


def nms_by_grid(boxes_xyxy: FloatArray, scores: FloatArray, labels: IntArray, iou: float) -> IntArray:
    """Return the rows that greedy suppression within labels keeps, highest score first.

    The result is that of :func:`medrov_cli.core.records.suppression.nms` without a largest number.

    Parameters
    ----------
    boxes_xyxy
        float, (n, 4).
    scores
        float, (n,). Equal scores keep the order of the input.
    labels
        int64, (n,).
    iou
        A box with a larger IoU with a kept box of higher score is removed.
    """
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    better, worse = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for first, second in near_pairs(boxes, labels, iou):
        intersections, areas = pair_intersections(boxes, first, second)
        conflicts = intersections > iou * (areas[0] + areas[1] - intersections)
        one, two = rank[first[conflicts]], rank[second[conflicts]]
        better.append(np.minimum(one, two))
        worse.append(np.maximum(one, two))
    removed = _removed(np.concatenate(better), np.concatenate(worse), len(order))
    return np.asarray(order[~removed], dtype=np.int64)


def _removed(better: IntArray, worse: IntArray, count: int) -> np.ndarray:
    """Return a mask, bool, (count,), of the ranks that greedy suppression removes.

    Parameters
    ----------
    better, worse
        Ranks of conflicting boxes; each better one removes the worse one, unless it is removed itself.
    count
        Number of boxes.
    """
    removed = np.zeros(count, dtype=bool)
    for _ in range(_ROUNDS):
        if not len(better):
            return removed
        is_open = np.zeros(count, dtype=bool)
        is_open[worse] = True
        is_kept = ~is_open[better]
        removed[worse[is_kept]] = True
        rest = ~(is_kept | removed[better] | removed[worse])
        better, worse = better[rest], worse[rest]
    order = np.lexsort((worse, better))
    for one, two in zip(better[order].tolist(), worse[order].tolist(), strict=True):
        if not removed[one]:
            removed[two] = True
    return removed
