"""Anchors that stand for the example boxes of a class."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.records.boxes import BoolArray, FloatArray, iou_matrix

ANCHORS_PER_BOX = 5
"""Largest number of anchors that are positive for an example: those with the largest IoU inside its box."""

NEARLY_BEST = 0.6
"""Smallest IoU of a positive anchor, relative to the best one of its example."""

IGNORED_IOU = 0.3
"""IoU with an example above which an anchor that is not positive is no background."""


def assign_anchors(
    boxes_xyxy: FloatArray, truth_xyxy: FloatArray, ignored_xyxy: FloatArray, centres: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Return the target of each anchor, (anchors,), and which anchors count for nothing, (anchors,).

    The boxes of the network are frozen, so that the anchors with the best boxes are known.

    Parameters
    ----------
    boxes_xyxy, centres
        Box and centre of each anchor, float, (anchors, 4) and (anchors, 2), in model pixels.
    truth_xyxy, ignored_xyxy
        Examples, float, (n, 4), and regions that are neither examples nor background, (k, 4).

    Returns
    -------
    targets, is_ignored
        0, or the IoU with the example relative to its best anchor; bool.
    """
    targets = np.zeros(len(centres))
    is_ignored = np.zeros(len(centres), dtype=bool)
    if len(ignored_xyxy):
        is_ignored |= _is_inside(centres, ignored_xyxy).any(1)
    if not len(truth_xyxy):
        return targets, is_ignored
    overlap = iou_matrix(boxes_xyxy.astype(np.float64), truth_xyxy.astype(np.float64))
    inside = _is_inside(centres, truth_xyxy)
    for number, box in enumerate(truth_xyxy):
        quality = np.where(inside[:, number], overlap[:, number], 0.0)
        if not quality.any():  # no anchor inside has a box that overlaps: the nearest one stands for it
            middle = (box[:2] + box[2:]) / 2
            quality[np.argmin(((centres - middle) ** 2).sum(1))] = 1.0
        rows = np.argsort(-quality, kind="stable")[:ANCHORS_PER_BOX]
        rows = rows[quality[rows] >= NEARLY_BEST * quality[rows[0]]]
        targets[rows] = np.maximum(targets[rows], quality[rows] / quality[rows[0]])
    near = (overlap > IGNORED_IOU) & (inside | (overlap > 0.5))
    return targets, (is_ignored | near.any(1)) & (targets == 0)


def _is_inside(centres: FloatArray, boxes_xyxy: FloatArray) -> BoolArray:
    """Return which centres, (n, 2), are in which boxes, (k, 4): bool, (n, k)."""
    after, before = centres[:, None] > boxes_xyxy[None, :, :2], centres[:, None] < boxes_xyxy[None, :, 2:]
    return np.asarray((after & before).all(2))
