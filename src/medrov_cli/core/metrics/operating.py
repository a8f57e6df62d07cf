"""From which score on a class is shown: operating points.

Which detections are right is decided elsewhere: these are functions on scores and truths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.boxes import FloatArray
from medrov_cli.core.metrics.detections import BoolArray

_ROUNDS = 60  # of a bisection over 20 powers of ten


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold, and what it gives."""

    threshold: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, slots=True, eq=False)
class ClassScores:
    """The detections of a class that count, and the number of its objects.

    Attributes
    ----------
    scores, is_right
        float and bool, (n,).
    truths
        Number of objects.
    is_absent
        bool, (n,): on images that are known not to show the class.
    """

    scores: FloatArray
    is_right: BoolArray
    truths: int
    is_absent: BoolArray

    def f1_from(self, threshold: float) -> float:
        """Return the F1 with what reaches a threshold; 0 without anything to find."""
        shown = self.scores >= threshold
        return 2 * int((shown & self.is_right).sum()) / max(int(shown.sum()) + self.truths, 1)

    def absent_from(self, threshold: float) -> int:
        """Return how many detections reach a threshold on images that do not show the class."""
        return int((self.is_absent & (self.scores >= threshold)).sum())


def joined(classes: Sequence[ClassScores]) -> ClassScores:
    """Return the detections of all classes together."""
    return ClassScores(
        np.concatenate([own.scores for own in classes]),
        np.concatenate([own.is_right for own in classes]),
        sum(own.truths for own in classes),
        np.concatenate([own.is_absent for own in classes]),
    )


def best_f1(
    scores: FloatArray, is_right: BoolArray, truths: int, slack: float = 0.0
) -> OperatingPoint | None:
    """Return the threshold with the largest F1; null without anything to find.

    Detections at the threshold count. Scores are compared as they are, ties stay together.

    Parameters
    ----------
    scores, is_right
        float and bool, (n,).
    truths
        Number of objects.
    slack
        The lowest threshold that is worse by no more than this is taken; 0: the highest of the best.
        It counts only where the best F1 is above it: where next to nothing is right, everything would
        be as good.
    """
    if not len(scores) or not truths:
        return None
    order = np.argsort(-scores, kind="stable")
    ordered, right, last = scores[order], np.cumsum(is_right[order]), _ends(scores[order])
    f1 = 2 * right[last] / (last + 1 + truths)
    place = int(np.flatnonzero(f1 >= f1.max() - slack)[-1]) if 0 < slack < f1.max() else int(f1.argmax())
    shown = int(last[place]) + 1
    found = int(right[shown - 1])
    return OperatingPoint(float(ordered[shown - 1]), float(f1[place]), found / shown, found / truths)


def limit_absent(
    classes: Sequence[ClassScores], thresholds: Sequence[float], images: int, limit: float
) -> list[float]:
    """Return thresholds, raised until there are few false positives of absent classes.

    All classes pay one price: each takes the threshold with the largest F1 minus ``price`` times its
    false positives an image on images that do not show it; the price is the lowest that keeps the
    limit. So those thresholds rise that cost least F1.

    Parameters
    ----------
    classes
        What was found of each.
    thresholds
        What they are without a limit; none becomes lower.
    images
        Number of images that were asked for all classes.
    limit
        False positives of absent classes an image, all classes together. If even the highest scores
        are too many, the thresholds are those scores.
    """
    choices = [_choices(own, low, images) for own, low in zip(classes, thresholds, strict=True)]

    def chosen(price: float) -> list[int]:
        return [int((f1 - price * absent).argmax()) for _, f1, absent in choices]

    def rate(places: Sequence[int]) -> float:
        return float(sum(absent[at] for (_, _, absent), at in zip(choices, places, strict=True)))

    if rate([0] * len(choices)) <= limit:
        return list(thresholds)
    low, high = -10.0, 10.0  # powers of ten
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if rate(chosen(10**middle)) <= limit else (middle, high)
    return [float(scores[at]) for (scores, _, _), at in zip(choices, chosen(10**high), strict=True)]


def _choices(own: ClassScores, low: float, images: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the thresholds that there are, rising from ``low``, their F1 and their absent rates."""
    shown = own.scores >= low
    order = np.argsort(-own.scores[shown], kind="stable")
    ordered = own.scores[shown][order]
    last = _ends(ordered)[::-1]
    right, absent = np.cumsum(own.is_right[shown][order]), np.cumsum(own.is_absent[shown][order])
    f1 = 2 * right[last] / np.maximum(last + 1 + own.truths, 1)
    rates = absent[last] / max(images, 1)
    if not len(last):
        return np.array([low]), np.zeros(1), np.zeros(1)
    scores = ordered[last].astype(np.float64)
    scores[0] = low  # as good as the lowest score above it
    return scores, f1, rates


def _ends(falling: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the last place of each run of equal scores."""
    if not len(falling):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
