"""Operating points: the score thresholds of classes.

The functions take scores, and for each detection whether it is correct (:mod:`.matching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.records.boxes import FloatArray

SMOOTHING = 0.5
"""Scale in logits by which detections are smoothed, so that thresholds hold for other patients. Without
smoothing the best threshold is just above the highest score of a false positive, and other patients have
higher ones. Chosen on val among 0.2 to 1 (``benchmarks/threshold_rules.py``)."""

_ROUNDS = 40  # of a bisection over 20 powers of ten
GRID = np.linspace(-14.0, 14.0, 561)
"""Thresholds as logits."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and its figures."""

    threshold: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True, eq=False)
class ClassScores:
    """Scored detections of a class, and the number of its objects.

    Attributes
    ----------
    scores, is_right
        float and bool, (n,).
    truths
        Number of objects.
    is_absent
        bool, (n,): detections on images in which the class is known to be absent.
    """

    scores: FloatArray
    is_right: BoolArray
    truths: int
    is_absent: BoolArray

    def f1_from(self, threshold: float) -> float:
        """Return the F1 of the detections at or above a threshold; 0 without objects."""
        shown = self.scores >= threshold
        return 2 * int((shown & self.is_right).sum()) / max(int(shown.sum()) + self.truths, 1)

    def absent_from(self, threshold: float) -> int:
        """Return the number of detections at or above a threshold on images without the class."""
        return int((self.is_absent & (self.scores >= threshold)).sum())


def join_scores(classes: Sequence[ClassScores]) -> ClassScores:
    """Return the detections of all classes together."""
    return ClassScores(
        np.concatenate([own.scores for own in classes]),
        np.concatenate([own.is_right for own in classes]),
        sum(own.truths for own in classes),
        np.concatenate([own.is_absent for own in classes]),
    )


def best_f1(scores: FloatArray, is_right: BoolArray, truths: int) -> OperatingPoint | None:
    """Return the highest threshold with the largest F1; null without objects.

    Detections at the threshold count. Detections of equal score are not separated.

    Parameters
    ----------
    scores, is_right
        float and bool, (n,).
    truths
        Number of objects.
    """
    if not len(scores) or not truths:
        return None
    order = np.argsort(-scores, kind="stable")
    ordered, right, last = scores[order], np.cumsum(is_right[order]), _ends(scores[order])
    f1 = 2 * right[last] / (last + 1 + truths)
    place = int(f1.argmax())
    shown = int(last[place]) + 1
    found = int(right[shown - 1])
    return OperatingPoint(float(ordered[shown - 1]), float(f1[place]), found / shown, found / truths)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Classes on a set of images, and their fitted thresholds.

    Attributes
    ----------
    classes
        Detections and objects of each class.
    thresholds
        Thresholds without a limit.
    images
        Number of images on which all classes were requested.
    smoothing
        Scale in logits by which false positives of absent classes are smoothed; 0: no smoothing.
    """

    classes: Sequence[ClassScores]
    thresholds: Sequence[float]
    images: int
    smoothing: float = 0.0

    @cached_property
    def choices(self) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Return the possible thresholds of each class, their F1 and their rates if absent."""
        return [
            _choices(own, low, self.images, self.smoothing)
            for own, low in zip(self.classes, self.thresholds, strict=True)
        ]

    def priced(self, price: float) -> list[float]:
        """Return thresholds that maximise F1 minus ``price`` times the rate if absent."""
        return [float(scores[int((f1 - price * absent).argmax())]) for scores, f1, absent in self.choices]


def limit_absent(
    fitted: Fitted, limit: float, folds: Sequence[tuple[Fitted, Sequence[ClassScores]]] = ()
) -> list[float]:
    """Return thresholds raised to limit the false positives of absent classes.

    The threshold of each class maximises F1 minus ``price`` times its false positives per image on images
    without the class. The price is the same for all classes, the lowest that reaches the limit, so that
    the thresholds with the smallest loss of F1 are raised.

    Thresholds give fewer false positives on the images that they were fitted on than on others. With
    ``folds`` the limit is evaluated on held-out images, each with thresholds fitted on the others. Of three
    or more folds the worst counts as the second worst, so that one patient with dozens of false positives
    of one class does not determine the price.

    Parameters
    ----------
    fitted
        Classes and their thresholds; no threshold is lowered.
    limit
        False positives of absent classes per image, summed over all classes. If the limit cannot be reached,
        the thresholds are the highest scores.
    folds
        For each fold, the fit on all other images, and the detections on its own. Every image is held out
        once, in parts of equal size. Without folds, the limit is evaluated on the images of the fit.
    """
    folds = folds or [(fitted, fitted.classes)]

    def rate(price: float | None) -> float:
        counts = []
        for others, held_out in folds:
            thresholds = others.thresholds if price is None else others.priced(price)
            counts.append(sum(own.absent_from(t) for own, t in zip(held_out, thresholds, strict=True)))
        counts.sort()
        if len(counts) > 2:
            counts[-1] = counts[-2]
        return sum(counts) / max(fitted.images, 1)

    if rate(None) <= limit:
        return list(fitted.thresholds)
    low, high = -10.0, 10.0  # powers of ten
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if rate(10**middle) <= limit else (middle, high)
    return fitted.priced(10**high)


def _choices(
    own: ClassScores, low: float, images: int, smoothing: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the possible thresholds, ascending from ``low``, their F1 and their rates if absent."""
    shown = own.scores >= low
    order = np.argsort(-own.scores[shown], kind="stable")
    ordered = own.scores[shown][order]
    last = _ends(ordered)[::-1]
    right, absent = np.cumsum(own.is_right[shown][order]), np.cumsum(own.is_absent[shown][order])
    f1 = 2 * right[last] / np.maximum(last + 1 + own.truths, 1)
    if not len(last):
        return np.array([low]), np.zeros(1), np.zeros(1)
    scores = ordered[last].astype(np.float64)
    above: FloatArray = absent[last].astype(np.float64)
    if smoothing:
        above = _smoothed_above(own.scores[own.is_absent], scores, smoothing)
    scores[0] = low  # equivalent to the lowest score above it
    return scores, f1, above / max(images, 1)


def _smoothed_above(scores: FloatArray, thresholds: FloatArray, scale: float) -> FloatArray:
    """Return the number of scores at or above each threshold, smoothed over their logits."""
    return np.asarray(np.interp(logits(thresholds), GRID, counts_above(scores, scale)))


def counts_above(scores: FloatArray, scale: float) -> FloatArray:
    """Return the number of scores at or above each logit of the grid, each spread by ``scale``; float64."""
    from scipy.special import expit

    place = np.searchsorted((GRID[1:] + GRID[:-1]) / 2, logits(scores))
    counts = np.bincount(place, minlength=len(GRID))
    used = np.flatnonzero(counts)
    return np.asarray(expit((GRID[used] - GRID[:, None]) / scale) @ counts[used], dtype=np.float64)


def logits(scores: FloatArray) -> FloatArray:
    """Return the logits of scores, float64; 0 and 1 are replaced by the nearest other numbers."""
    inside = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def _ends(falling: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the last position of each run of equal scores."""
    if not len(falling):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
