"""Matching of detections and objects by COCO's greedy rule, for many images at once.

It is written by hand because pycocotools matches once per call: the report scores hundreds of subsets of
images and classes, and 1,000 bootstrap samples, from one matching. Here all images and classes are
processed together, rank by rank, and only pairs above the lowest threshold are computed.

In each image and class, detections are matched in the order of their scores. Each is assigned the free
object with the largest overlap of at least the threshold. Objects that count have precedence over objects
that do not (crowds, sizes out of range). The rule is that of pycocotools' ``evaluateImg``, and tests
compare both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.metrics.detection_table import BoolArray, DetectionTable
from medrov_cli.core.records.boxes import FloatArray, IntArray, box_areas

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU thresholds of COCO."""

AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
"""Area ranges of COCO: all, small, medium, large; square pixels, both ends included."""

MAX_DETECTIONS = 300
"""Maximum number of detections per image and class. COCO's 100 is below the nuclei of a histology tile."""

FOUND, WRONG, IGNORED = 1, 0, -1
"""Outcomes of a detection."""

_PAIRS_AT_ONCE = 2_000_000

Overlap = Callable[[FloatArray, FloatArray, BoolArray], FloatArray]
"""Function of boxes of detections and objects, (p, 4) each, and of crowd marks, (p,), to overlaps, (p,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Outcome of every detection; ``a`` areas, ``t`` thresholds, ``m`` detections.

    Attributes
    ----------
    rows
        int64, (m,): rows of the table's detections, sorted by image, class and descending score;
        detections beyond the limit per image are left out.
    rank
        int64, (m,): 0 for the best of its image and class.
    status
        int8, (a, t, m): ``FOUND``, ``WRONG`` or ``IGNORED``.
    truth
        int64, (m,): the assigned object, in the first area at the first threshold; -1: none.
    touches
        bool, (m,): overlaps an object of its class by the first threshold, assigned or not.
    is_ignored
        bool, (a, n): objects that do not count.
    """

    rows: IntArray
    rank: IntArray
    status: npt.NDArray[np.int8]
    truth: IntArray
    touches: BoolArray
    is_ignored: BoolArray


def iou_of_pairs(found_xyxy: FloatArray, truth_xyxy: FloatArray, is_crowd: BoolArray) -> FloatArray:
    """Return the IoU of each pair, (p,); for a crowd, the fraction of the detection inside it."""
    sides = np.minimum(found_xyxy[:, 2:], truth_xyxy[:, 2:]) - np.maximum(
        found_xyxy[:, :2], truth_xyxy[:, :2]
    )
    inside = np.where((sides > 0).all(1), sides[:, 0] * sides[:, 1], 0.0)
    own = box_areas(found_xyxy)
    union = np.where(is_crowd, own, own + box_areas(truth_xyxy) - inside)
    return np.asarray(np.divide(inside, union, out=np.zeros_like(inside), where=union > 0))


def nearness_of_pairs(found_xyxy: FloatArray, truth_xyxy: FloatArray, is_crowd: BoolArray) -> FloatArray:
    """Return 1 - distance / radius of the centres of each pair, (p,); values up to 0 are misses.

    LUNA16's rule in the plane: the centre of the detection is within the object's radius, here
    half the mean of its sides. In a crowd every centre is a hit.
    """
    centres = (found_xyxy[:, :2] + found_xyxy[:, 2:]) / 2
    offset = centres - (truth_xyxy[:, :2] + truth_xyxy[:, 2:]) / 2
    radius = (truth_xyxy[:, 2:] - truth_xyxy[:, :2]).mean(1) / 2
    distance = np.hypot(offset[:, 0], offset[:, 1])
    near = 1 - np.divide(distance, radius, out=np.full_like(distance, np.inf), where=radius > 0)
    within = ((centres >= truth_xyxy[:, :2]) & (centres <= truth_xyxy[:, 2:])).all(1)
    return np.asarray(np.where(is_crowd, np.where(within, 1.0, 0.0), near))


def match(
    table: DetectionTable,
    thresholds: FloatArray = IOU_THRESHOLDS,
    areas: Sequence[tuple[float, float]] = AREAS,
    max_det: int = MAX_DETECTIONS,
    overlap: Overlap = iou_of_pairs,
) -> Matches:
    """Match detections with objects, and return the outcome of every detection.

    Parameters
    ----------
    table
        Truth and detections.
    thresholds
        Minimum overlaps, ascending.
    areas
        Ranges of object area, square pixels.
    max_det
        Maximum number of detections per image and class, best first.
    overlap
        Overlap of a pair.
    """
    labels = 1 + max(table.label.max(initial=0), table.truth_label.max(initial=0))
    group, truth_group = table.image * labels + table.label, table.truth_image * labels + table.truth_label
    rows = np.lexsort((-table.score, group))
    rank = _position_in_run(group[rows])
    rows, rank = rows[rank < max_det], rank[rank < max_det]
    limits = np.asarray(areas, dtype=np.float64)
    truth_outside = (table.truth_area < limits[:, :1]) | (table.truth_area > limits[:, 1:])
    own_area = box_areas(table.xyxy[rows])
    outside = (own_area < limits[:, :1]) | (own_area > limits[:, 1:])  # (a, m)
    status = np.repeat(np.where(outside, IGNORED, WRONG).astype(np.int8)[:, None], len(thresholds), 1)
    matches = Matches(
        rows=rows,
        rank=rank,
        status=status,
        truth=np.full(len(rows), -1, dtype=np.int64),
        touches=np.zeros(len(rows), dtype=bool),
        is_ignored=table.is_crowd | truth_outside,
    )
    _assign(table, matches, _candidates(table, rows, group, truth_group, thresholds[0], overlap), thresholds)
    return matches


def _candidates(
    table: DetectionTable,
    rows: IntArray,
    group: IntArray,
    truth_group: IntArray,
    least: float,
    overlap: Overlap,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the pairs above the lowest threshold: positions in ``rows``, truths, overlaps.

    They are sorted by position, then by the order of the truths.
    """
    truths = np.argsort(truth_group, kind="stable")
    keys = truth_group[truths]
    start = np.searchsorted(keys, group[rows], "left")
    count = np.searchsorted(keys, group[rows], "right") - start
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for part in _parts(count):
        position = np.repeat(part, count[part])
        truth = truths[np.repeat(start[part], count[part]) + _position_in_run(position)]
        value = overlap(table.xyxy[rows[position]], table.truth_xyxy[truth], table.is_crowd[truth])
        enough = value >= min(least, 1 - 1e-10)
        found.append((position[enough], truth[enough], value[enough]))
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return none, none, np.zeros(0)
    first, second, third = (np.concatenate(column) for column in zip(*found, strict=True))
    return first, second, third


def _parts(count: IntArray) -> Iterator[IntArray]:
    """Yield the positions with pairs, in parts of limited memory."""
    positions = np.flatnonzero(count)
    total = np.cumsum(count[positions])
    start = 0
    while start < len(positions):
        done = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, done + _PAIRS_AT_ONCE, "right")))
        yield positions[start:end]
        start = end


def _assign(
    table: DetectionTable,
    matches: Matches,
    pairs: tuple[IntArray, IntArray, FloatArray],
    thresholds: FloatArray,
) -> None:
    """Set ``status``, ``truth`` and ``touches``."""
    position, truth, value = pairs
    matches.touches[position] = True
    chooser, first = np.unique(position, return_index=True)
    length = np.diff(np.append(first, len(position)))
    row = matches.rows[chooser]
    turn = _position_in_run(table.image[row] * (1 + table.label.max(initial=0)) + table.label[row])
    taken = np.zeros((matches.status.shape[0], len(thresholds), len(table.truth_label)), dtype=bool)
    least = np.minimum(thresholds, 1 - 1e-10)[:, None, None]
    by_turn = np.argsort(turn, kind="stable")
    ends = np.searchsorted(turn[by_turn], np.arange(1 + turn.max(initial=-1)), "right")
    for now in np.split(by_turn, ends[:-1]) if len(by_turn) else ():
        pair, is_pair = _padded(first[now], length[now])  # (now, k)
        object_, size = truth[pair], value[pair]
        free = ~taken[:, :, object_] | table.is_crowd[object_]
        free &= (size >= least) & is_pair  # (a, t, now, k)
        ignored = matches.is_ignored[:, None, object_]
        counted, best_counted = _largest(free & ~ignored, size)
        other, best_other = _largest(free & ignored, size)
        best = np.where(counted, best_counted, best_other)
        chosen = object_[np.arange(len(now)), best]  # (a, t, now)
        area, threshold, who = np.nonzero(counted | other)
        taken[area, threshold, chosen[area, threshold, who]] = True
        result = np.where(counted, FOUND, np.where(other, IGNORED, matches.status[:, :, chooser[now]]))
        matches.status[:, :, chooser[now]] = result
        matches.truth[chooser[now]] = np.where(counted[0, 0] | other[0, 0], chosen[0, 0], -1)


def _padded(first: IntArray, length: IntArray) -> tuple[IntArray, BoolArray]:
    """Return runs of indices as a matrix, and its valid cells."""
    offset = np.arange(length.max(initial=0))
    is_real = offset < length[:, None]
    return np.where(is_real, first[:, None] + offset, 0), is_real


def _largest(allowed: BoolArray, size: FloatArray) -> tuple[BoolArray, IntArray]:
    """Return whether the last axis has an allowed cell, and its largest one; the last of equal cells."""
    values = np.where(allowed, size, -np.inf)[..., ::-1]
    return np.asarray(allowed.any(-1)), values.shape[-1] - 1 - values.argmax(-1)


def _position_in_run(keys: IntArray) -> IntArray:
    """Return 0, 1, 2, ... within each run of equal keys."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))
