"""Thresholds with the largest expected F1 on other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.metrics.operating import GRID, SMOOTHING, ClassScores, counts_above
from medrov_cli.core.records.boxes import FloatArray

FIT_FLOOR = 0.01
"""Lowest score of a fit: lower ones are thousands per image, nearly all wrong, and never shown."""

PRIOR_OBJECTS = 1.0
"""Weight of the typical class in the F1 of a class, in objects; chosen with `SMOOTHING` among 0 to 20."""

_MOST_SHOWN = 20.0
"""Largest number of detections per object in the typical class: a class with a single object and hundreds of
detections would determine the mean."""

DEFAULT_THRESHOLD = 0.25
"""Threshold without any correct detection to fit one on."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothCounts:
    """Expected detections of a class at or above each threshold of a grid of logits, on other images.

    Attributes
    ----------
    right, shown
        float64, (thresholds,): correct detections, and all.
    truths
        Number of objects.
    """

    right: FloatArray
    shown: FloatArray
    truths: float

    @classmethod
    def of_class(cls, own: ClassScores, scale: float = SMOOTHING) -> SmoothCounts:
        """Return the counts of a class: each detection is spread by ``scale``, in logits."""
        right = counts_above(own.scores[own.is_right], scale)
        return cls(right, counts_above(own.scores, scale), float(own.truths))

    @property
    def f1(self) -> FloatArray:
        """Return the F1 at each threshold, float64, (thresholds,); there must be objects."""
        return np.asarray(2 * self.right / (self.shown + self.truths))

    def with_prior(self, typical: SmoothCounts, objects: float) -> SmoothCounts:
        """Return the counts with some objects of the typical class."""
        return SmoothCounts(
            self.right + objects * typical.right,
            self.shown + objects * typical.shown,
            self.truths + objects * typical.truths,
        )


def typical_class(classes: Sequence[SmoothCounts]) -> SmoothCounts:
    """Return the mean of classes with objects, each scaled to one object."""
    return SmoothCounts(
        np.mean([own.right / own.truths for own in classes], axis=0),
        np.mean([np.minimum(own.shown / own.truths, _MOST_SHOWN) for own in classes], axis=0),
        1.0,
    )


def smooth_threshold(f1: FloatArray, floor: float) -> float:
    """Return the lowest score of at least ``floor`` with the largest F1.

    Parameters
    ----------
    f1
        F1 of a class, or mean of classes, as of :attr:`SmoothCounts.f1`.
    floor
        Lowest threshold.
    """
    from scipy.special import expit

    scores = expit(GRID)
    allowed = np.flatnonzero(scores >= floor)
    return float(np.round(scores[allowed[int(f1[allowed].argmax())]], 6))


@dataclass(frozen=True, slots=True)
class ClassThresholds:
    """Threshold of each class, null without an object or a detection, and of all classes together."""

    by_class: tuple[float | None, ...]
    pooled: float

    @classmethod
    def fit(cls, found: Sequence[ClassScores]) -> ClassThresholds:
        """Return the thresholds of classes; `DEFAULT_THRESHOLD` without any correct detection."""
        counts = [SmoothCounts.of_class(above_floor(own)) if own.truths else None for own in found]
        known = [own for own in counts if own is not None]
        if not known or not sum(float(own.right.max()) for own in known):
            return cls((None,) * len(found), DEFAULT_THRESHOLD)
        typical = typical_class(known)
        pooled = smooth_threshold(np.mean([own.f1 for own in known], axis=0), FIT_FLOOR)
        chosen = [
            None
            if own is None or not own.shown.max()
            else smooth_threshold(own.with_prior(typical, PRIOR_OBJECTS).f1, FIT_FLOOR)
            for own in counts
        ]
        return cls(tuple(chosen), pooled)


def threshold_of(own: ClassScores) -> float:
    """Return the threshold of a class by itself; `DEFAULT_THRESHOLD` without a correct detection."""
    return ClassThresholds.fit([own]).by_class[0] or DEFAULT_THRESHOLD


def above_floor(own: ClassScores) -> ClassScores:
    """Return the detections that take part in a fit."""
    kept = own.scores >= FIT_FLOOR
    return ClassScores(own.scores[kept], own.is_right[kept], own.truths, own.is_absent[kept])
