"""One box for one object that several readers have drawn: the mean of the boxes that agree."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from medrov_cli.core.records.annotations import Annotation
from medrov_cli.core.records.boxes import iou_matrix, xywh_to_xyxy

AGREE_IOU = 0.5
"""Boxes of two readers that overlap by this show one object (PASCAL VOC's hit)."""


def merge_readers(drawn: Sequence[Annotation]) -> tuple[Annotation, ...]:
    """Return the boxes of an image with one for each object, however many readers have drawn it.

    Boxes of one class are joined, those that overlap most first, if every two of them overlap by
    `AGREE_IOU` or more and are of different readers. Corners are the mean of theirs. What one reader
    alone has drawn stays. The order of the boxes decides about nothing but that of the result: each
    stands where its first one stood.
    """
    by_class: dict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(drawn):
        by_class[own.class_name].append(row)
    groups = [group for rows in by_class.values() for group in _groups(drawn, rows)]
    return tuple(_mean([drawn[row] for row in group]) for group in sorted(groups))


def _groups(drawn: Sequence[Annotation], rows: Sequence[int]) -> list[list[int]]:
    """Return the rows of one class by object, each sorted."""
    # In an order of their own, so that equal overlaps are not decided by the order of the table.
    rows = sorted(rows, key=lambda row: (drawn[row].box_xywh, drawn[row].annotator))
    boxes = xywh_to_xyxy(np.asarray([drawn[row].box_xywh for row in rows], dtype=np.float64))
    overlaps = iou_matrix(boxes, boxes)
    annotators = np.unique([drawn[row].annotator for row in rows], return_inverse=True)[1]
    fits = (overlaps >= AGREE_IOU) & (annotators[:, None] != annotators[None])
    pairs = np.argwhere(np.triu(fits, 1)).tolist()
    group_of = {place: [place] for place in range(len(rows))}
    for one, other in sorted(pairs, key=lambda pair: (-overlaps[pair[0], pair[1]], pair)):
        first, second = group_of[one], group_of[other]
        if first is second or not fits[np.ix_(first, second)].all():
            continue
        first += second
        group_of |= dict.fromkeys(second, first)
    groups = {id(group): group for group in group_of.values()}
    return [sorted(rows[place] for place in group) for group in groups.values()]


def _mean(annotations: Sequence[Annotation]) -> Annotation:
    if len(annotations) == 1:
        return annotations[0]
    corners = [
        (left, top, left + width, top + height)
        for left, top, width, height in (own.box_xywh for own in annotations)
    ]
    # An exact sum, which knows no order.
    left, top, right, bottom = (math.fsum(own) / len(annotations) for own in zip(*corners, strict=True))
    return Annotation(annotations[0].class_name, (left, top, right - left, bottom - top))
