"""From which score on a class is shown: operating points.

Which detections are right is decided elsewhere: these are functions on scores and truths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.records.boxes import FloatArray

SMOOTHING = 0.5
"""Scale, in logits, over which absent false positives are spread when thresholds are to suit other patients.
Counted as they are, the best threshold lies right above the surest of them, and other patients have a surer
one: no price keeps them to a limit. Chosen on val, of 0.2, 0.5 and 1."""

_ROUNDS = 40  # of a bisection over 20 powers of ten
_GRID = np.linspace(-14.0, 14.0, 561)  # logits


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


@dataclass(frozen=True, eq=False)
class Fitted:
    """Classes on some images, and the thresholds that suit them.

    Attributes
    ----------
    classes
        What was found of each.
    thresholds
        What they are without a limit.
    images
        Number of images that were asked for all classes.
    smoothing
        Scale, in logits, over which absent false positives are spread; 0: they are counted.
    """

    classes: Sequence[ClassScores]
    thresholds: Sequence[float]
    images: int
    smoothing: float = 0.0

    @cached_property
    def choices(self) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Return the thresholds that each class may have, their F1 and their absent rates."""
        return [
            _choices(own, low, self.images, self.smoothing)
            for own, low in zip(self.classes, self.thresholds, strict=True)
        ]

    def priced(self, price: float) -> list[float]:
        """Return thresholds with the largest F1 minus ``price`` times the absent false positives an image."""
        return [float(scores[int((f1 - price * absent).argmax())]) for scores, f1, absent in self.choices]


def limit_absent(
    fitted: Fitted, limit: float, folds: Sequence[tuple[Fitted, Sequence[ClassScores]]] = ()
) -> list[float]:
    """Return thresholds, raised until there are few false positives of absent classes.

    All classes pay one price: each takes the threshold with the largest F1 minus ``price`` times its
    false positives an image on images that do not show it; the price is the lowest that keeps the
    limit. So those thresholds rise that cost least F1.

    Thresholds suit the images that they were fitted on, and keep more limits there than elsewhere. With
    ``folds`` it is images held out that have to keep it, each by thresholds fitted on the others. Of three
    folds and more the worst counts as the second worst: one patient in whom a class is found dozens of
    times, as in no other, tells nothing about the price, and all classes would pay for him.

    Parameters
    ----------
    fitted
        What thresholds are sought for; none becomes lower.
    limit
        False positives of absent classes an image, all classes together. If even the highest scores
        are too many, the thresholds are those scores.
    folds
        Of each, what the others make of the images outside it, and the detections on its own. All images
        are held out once, in parts of one size. Without any, the images judge themselves.
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
    """Return the thresholds that there are, rising from ``low``, their F1 and their absent rates."""
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
    scores[0] = low  # as good as the lowest score above it
    return scores, f1, above / max(images, 1)


def _smoothed_above(scores: FloatArray, thresholds: FloatArray, scale: float) -> FloatArray:
    """Return how many scores reach each threshold, each spread logistically over its logits."""
    from scipy.special import expit

    place = np.searchsorted((_GRID[1:] + _GRID[:-1]) / 2, logits(scores))
    counts = np.bincount(place, minlength=len(_GRID))
    used = np.flatnonzero(counts)
    above = expit((_GRID[used] - _GRID[:, None]) / scale) @ counts[used]
    return np.asarray(np.interp(logits(thresholds), _GRID, above))


def logits(scores: FloatArray) -> FloatArray:
    """Return the logits of scores, of 0 and 1 those next to them, float64."""
    inside = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def _ends(falling: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the last place of each run of equal scores."""
    if not len(falling):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
