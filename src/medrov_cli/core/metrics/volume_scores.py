"""Scores of findings in volumes: 3-D IoU AP, and FROC with LUNA16's rule of a hit.

Boxes are (x1, y1, z1, x2, y2, z2) in one frame of the volume, in mm. AP is COCO's: detections by descending
score, each matched with the free object of the highest IoU, precision at 101 recalls. FROC is that of
:mod:`medrov_cli.core.metrics.froc`, with false positives per volume (LUNA16, arXiv 1612.08012). The bootstrap
draws patients. The matching is written for boxes in space because pycocotools has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.metrics.bootstrap import average_precision_samples, filled, interval
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.froc import ClassEvents, sensitivities
from medrov_cli.core.records.boxes import FloatArray, IntArray

_SMALLEST = np.nextafter(0.0, 1.0)  # a centre exactly on the radius is a miss


@dataclass(frozen=True, slots=True, eq=False)
class VolumeResult:
    """Objects and findings of one class in one volume.

    Attributes
    ----------
    truth_boxes
        float, (n, 6): boxes of the objects.
    found_boxes
        float, (m, 6): boxes of the findings.
    scores
        float, (m,).
    """

    truth_boxes: FloatArray
    found_boxes: FloatArray
    scores: FloatArray


@dataclass(frozen=True, slots=True)
class VolumeScores:
    """Scores of one class.

    Attributes
    ----------
    average_precision
        AP at the IoU threshold; NaN without an object.
    sensitivity
        At the rates of `medrov_cli.core.metrics.froc.RATES`, false positives per volume.
    cpm
        Mean sensitivity.
    average_precision_interval, cpm_interval
        95 % intervals of the bootstrap; null without samples.
    """

    average_precision: float
    sensitivity: tuple[float, ...]
    cpm: float
    average_precision_interval: tuple[float, float] | None
    cpm_interval: tuple[float, float] | None


def iou_3d(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the intersection over union of every pair of boxes, (n, 6) and (m, 6), as (n, m)."""
    low = np.maximum(first[:, None, :3], second[None, :, :3])
    high = np.minimum(first[:, None, 3:], second[None, :, 3:])
    intersection = np.maximum(high - low, 0).prod(-1)
    union = _volumes(first)[:, None] + _volumes(second)[None] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))


def nearness_3d(found: FloatArray, truth: FloatArray) -> FloatArray:
    """Return 1 - distance / radius of the centres of every pair, (n, m); values up to 0 are misses.

    The radius is half the mean of the object's three sides.
    """
    centers = [(boxes[:, :3] + boxes[:, 3:]) / 2 for boxes in (found, truth)]
    distance = np.linalg.norm(centers[0][:, None] - centers[1][None], axis=-1)
    radius = np.broadcast_to((truth[:, 3:] - truth[:, :3]).mean(1)[None] / 2, distance.shape)
    return np.asarray(1 - np.divide(distance, radius, out=np.full_like(distance, np.inf), where=radius > 0))


def score_volumes(
    results: Sequence[VolumeResult], weights: FloatArray | None = None, *, iou: float = 0.5
) -> VolumeScores:
    """Return the scores of one class over volumes.

    Parameters
    ----------
    results
        Objects and findings of each volume.
    weights
        float, (samples, volumes): count of each volume in each bootstrap sample; see
        `medrov_cli.core.metrics.bootstrap.draw_weights`. Null: no intervals.
    iou
        Least IoU of a match of AP.
    """
    once = np.ones((1, len(results)))
    drawn = np.zeros((0, len(results))) if weights is None else weights
    found, wrong, volume = _ap_events(results, iou)
    truths = np.array([len(result.truth_boxes) for result in results], dtype=np.int64)
    precision = average_precision_samples(found, wrong, volume, truths, once)
    precisions = average_precision_samples(found, wrong, volume, truths, drawn)
    events = _froc_events(results, truths)
    sensitivity = sensitivities(events, once)[0]
    drawn_sensitivity = filled(sensitivities(events, drawn), sensitivity)
    return VolumeScores(
        average_precision=float(precision[0]),
        sensitivity=tuple(sensitivity.tolist()),
        cpm=float(sensitivity.mean()),
        average_precision_interval=interval(filled(precisions, precision[0])),
        cpm_interval=interval(drawn_sensitivity.mean(1)),
    )


def count_hits(result: VolumeResult) -> int:
    """Return the number of objects that are found by LUNA16's rule."""
    near = nearness_3d(result.found_boxes, result.truth_boxes)
    _, found = _matches(near, result.scores, _SMALLEST)
    return int(found.sum())


def _volumes(boxes: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(boxes[:, 3:] - boxes[:, :3], 0).prod(1))


def _matches(overlap: FloatArray, scores: FloatArray, least: float) -> tuple[IntArray, BoolArray]:
    """Return the findings by descending score, and whether each found a free object, the best one."""
    order = np.argsort(-scores, kind="stable")
    is_free = np.ones(overlap.shape[1], dtype=bool)
    found = np.zeros(len(order), dtype=bool)
    for rank, row in enumerate(order.tolist()):
        values = np.where(is_free & (overlap[row] >= least), overlap[row], -np.inf)
        if len(values) and values.max() > -np.inf:
            is_free[values.argmax()] = False
            found[rank] = True
    return order, found


def _ap_events(results: Sequence[VolumeResult], iou: float) -> tuple[BoolArray, BoolArray, IntArray]:
    """Return outcome and volume of all findings, by descending score."""
    rows = []
    for volume, result in enumerate(results):
        order, found = _matches(iou_3d(result.found_boxes, result.truth_boxes), result.scores, iou)
        rows += [(-result.scores[row], volume, hit) for row, hit in zip(order, found, strict=True)]
    rows.sort(key=lambda row: row[0])
    hits = np.array([hit for _, _, hit in rows], dtype=bool)
    return hits, ~hits, np.array([volume for _, volume, _ in rows], dtype=np.int64)


def _froc_events(results: Sequence[VolumeResult], truths: IntArray) -> ClassEvents:
    """Return hits and false positives; a finding that hits only found objects is neither."""
    hits: list[tuple[int, float]] = []
    wrong: list[tuple[int, float]] = []
    for volume, result in enumerate(results):
        near = nearness_3d(result.found_boxes, result.truth_boxes)
        order, found = _matches(near, result.scores, _SMALLEST)
        for row, hit in zip(order.tolist(), found.tolist(), strict=True):
            if hit:
                hits.append((volume, float(result.scores[row])))
            elif not (near[row] > 0).any():
                wrong.append((volume, float(result.scores[row])))
    wrong.sort(key=lambda event: -event[1])
    return ClassEvents(
        np.array([volume for volume, _ in hits], dtype=np.int64),
        np.array([score for _, score in hits], dtype=np.float64),
        np.array([volume for volume, _ in wrong], dtype=np.int64),
        np.array([score for _, score in wrong], dtype=np.float64),
        truths,
    )
