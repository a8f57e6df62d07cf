"""AP and FROC of boxes in volumes by counting: independent of the package, and slow."""

from __future__ import annotations

import itertools
import math

Box = tuple[float, ...]
Volume = tuple[list[Box], list[tuple[float, Box]]]
"""Boxes of the objects, and scores and boxes of the findings."""


def brute_iou(first: Box, second: Box) -> float:
    """Return the IoU of boxes on whole numbers by counting voxels."""

    def voxels(box: Box) -> set[tuple[int, ...]]:
        return set(itertools.product(*(range(int(box[axis]), int(box[axis + 3])) for axis in range(3))))

    own, other = voxels(first), voxels(second)
    return len(own & other) / len(own | other) if own | other else 0.0


def brute_near(found: Box, truth: Box) -> bool:
    """Return whether the centre is within the radius: half the mean side."""
    centers = [[(box[axis] + box[axis + 3]) / 2 for axis in range(3)] for box in (found, truth)]
    return math.dist(*centers) < sum(truth[axis + 3] - truth[axis] for axis in range(3)) / 6


def brute_ap(volumes: list[Volume], iou: float = 0.5) -> float:
    """Return COCO's AP at an IoU, worked out finding by finding."""
    total = sum(len(truth) for truth, _ in volumes)
    ranked = sorted(
        ((score, number, box) for number, (_, found) in enumerate(volumes) for score, box in found),
        key=lambda item: -item[0],
    )
    free = [list(truth) for truth, _ in volumes]
    curve, hits = [], 0
    for rank, (_, number, box) in enumerate(ranked, 1):
        fits = [(brute_iou(box, one), index) for index, one in enumerate(free[number])]
        fits = [fit for fit in fits if fit[0] >= iou]
        if fits:
            best = max(fits, key=lambda fit: fit[0])[1]
            free[number].pop(best)
            hits += 1
        curve.append((hits / total, hits / rank))
    return (
        sum(
            max((precision for recall, precision in curve if recall >= step / 100 - 1e-12), default=0.0)
            for step in range(101)
        )
        / 101
    )


def brute_sensitivity(volumes: list[Volume], rate: float) -> float:
    """Return the largest sensitivity of all thresholds with at most ``rate`` false positives per volume."""
    total = sum(len(truth) for truth, _ in volumes)
    best = 0.0
    for threshold in [math.inf, *(score for _, found in volumes for score, _ in found)]:
        hits = wrong = 0
        for truth, found in volumes:
            shown = [box for score, box in sorted(found, key=lambda item: -item[0]) if score >= threshold]
            free = list(truth)
            for box in shown:
                near = [one for one in free if brute_near(box, one)]
                if near:
                    free.remove(min(near, key=lambda one: _distance(box, one)))
                    hits += 1
                elif not any(brute_near(box, one) for one in truth):
                    wrong += 1
        if wrong <= rate * len(volumes):
            best = max(best, hits / total)
    return best


def _distance(found: Box, truth: Box) -> float:
    """Return the distance of centres in radii."""
    centers = [[(box[axis] + box[axis + 3]) / 2 for axis in range(3)] for box in (found, truth)]
    return math.dist(*centers) / sum(truth[axis + 3] - truth[axis] for axis in range(3))
