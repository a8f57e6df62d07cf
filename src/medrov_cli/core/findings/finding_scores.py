"""Score of a finding from the calibrated scores of its detections.

A calibrated score is the probability that a detection is correct. The score of a finding is the mean of the
better half of its members. A finding in a single slice has less evidence: an object that is as long as it is
wide also crosses the neighbouring slices, and the detector misses it there with the probability 1 - recall.
Each neighbour without a detection multiplies the odds by this probability. The recall is that of the class
on the images of the calibration; close to the best F1, recall and F1 are equal.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from medrov_cli.core.records.boxes import FloatArray

_LARGEST = 1 - 1e-6
"""Scores of 0 and 1 have no odds."""


def combine_scores(scores: FloatArray) -> float:
    """Return the mean of the better half of scores, (n,); of an odd number, the middle one included."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))[::-1]
    return float(ordered[: (len(ordered) + 1) // 2].mean())


def expected_neighbours(side_mm: float, distances_mm: Iterable[float]) -> int:
    """Return the number of neighbouring slices that an object as long as it is wide must cross.

    Parameters
    ----------
    side_mm
        Shorter side of its box.
    distances_mm
        Distances of the neighbouring slices that exist: two, at the end of the volume one.
    """
    return sum(side_mm / 2 > distance for distance in distances_mm)


def single_slice_score(score: float, absent: int, recall: float | None) -> float:
    """Return the score of a finding in one slice.

    Parameters
    ----------
    score
        Calibrated score of its detection.
    absent
        Number of neighbouring slices without a detection that the object must cross.
    recall
        Probability that the detector finds an object of the class in a slice; null: unknown, no change.
    """
    if recall is None or not absent:
        return score
    limited = min(max(score, 1 - _LARGEST), _LARGEST)
    odds = limited / (1 - limited) * (1 - min(recall, _LARGEST)) ** absent
    return float(odds / (1 + odds))
