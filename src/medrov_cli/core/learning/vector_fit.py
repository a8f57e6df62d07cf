"""Fit of the vectors of one class on region vectors: a logistic regression with a start.

The network is frozen, and the logit of a class is linear in the region vectors, so that the fit is convex
and takes fractions of a second. No library is used, because the penalty pulls towards the start, and rows
have levels of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from medrov_cli.core.learning.views import ExampleView
from medrov_cli.core.prediction.embedding_space import Vector
from medrov_cli.core.prediction.example_anchors import assign_anchors
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.regions import centres_of, levels_of

BACKGROUND = 12_000
"""Largest number of background anchors of a fit. The others are drawn evenly and count more."""

STRENGTH = 10.0
"""Weight of the distance from the start, per channel, relative to the loss of a positive anchor."""

LEVEL_STRENGTH = 0.1
"""Weight of the squared difference between the changes of the constants of the levels: objects of other sizes
than the examples are at other levels, where the fit has background alone."""

_TINY = 1e-2  # added to the deviation of a channel, which may be constant


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Anchors of several views as rows of the regression.

    Attributes
    ----------
    vectors
        float32, (n, c): region vectors.
    levels
        int64, (n,).
    targets
        float64, (n,): 0 for background; IoU relative to the best anchor of the example.
    weights
        float64, (n,): number of anchors that a row stands for.
    """

    vectors: Float32Array
    levels: IntArray
    targets: FloatArray
    weights: FloatArray

    @property
    def positive(self) -> BoolArray:
        """Return which rows are positive, (n,)."""
        return self.targets > 0

    def subset(self, kept: BoolArray) -> Rows:
        """Return some of the rows."""
        return Rows(self.vectors[kept], self.levels[kept], self.targets[kept], self.weights[kept])


def rows_of_class(views: Sequence[ExampleView], label: int, imgsz: int) -> Rows:
    """Return the rows of a class from the views in which it is annotated."""
    levels, centres = levels_of(imgsz), centres_of(imgsz)
    parts = []
    for view in views:
        if view.is_annotated[label]:
            own = view.truth_xyxy[view.labels == label]
            targets, is_ignored = assign_anchors(view.boxes_xyxy, own, view.ignored_xyxy, centres)
            kept = ~is_ignored
            parts.append((view.vectors[kept], levels[kept], targets[kept]))
    vectors, row_levels, targets = (np.concatenate(own) for own in zip(*parts, strict=True))
    positive = targets > 0
    background = np.flatnonzero(~positive)
    step = -(-len(background) // BACKGROUND)
    kept = np.concatenate((np.flatnonzero(positive), background[::step]))
    weights = np.where(positive[kept], 1.0, float(step))
    return Rows(vectors[kept].astype(np.float32), row_levels[kept], targets[kept], weights)


def fit_vector(rows: Rows, start: Vector, steps: int) -> Vector:
    """Return the vector with the smallest loss after some steps from a start.

    The loss is the binary cross-entropy, divided by the sum of the targets, plus the squared distance from
    the start in units of the channels' deviations, plus that between the shifts of the levels.
    """
    levels, channels = start.kernel.shape
    parts = [_Level.from_rows(rows, level, start) for level in range(levels)]
    total = max(float((rows.targets * rows.weights).sum()), 1e-6)
    begin = np.stack([part.begin for part in parts])

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        own = values.reshape(levels, channels + 1)
        results = [part.loss(own[level]) for level, part in enumerate(parts)]
        change = (own - begin)[:, :-1]
        shift = (own - begin)[:, -1]
        apart = shift - shift.mean()
        gradient = np.stack([gradient for _, gradient in results]) / total
        gradient[:, :-1] += STRENGTH * change / channels
        gradient[:, -1] += LEVEL_STRENGTH * apart
        value = sum(one for one, _ in results) / total + STRENGTH * float((change**2).sum()) / (2 * channels)
        return value + LEVEL_STRENGTH * float((apart**2).sum()) / 2, gradient.ravel()

    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    own = found.x.reshape(levels, channels + 1)
    kernels = np.stack([own[level, :-1] / part.deviation for level, part in enumerate(parts)])
    constants = np.array([own[level, -1] - kernels[level] @ part.mean for level, part in enumerate(parts)])
    return Vector(kernels, constants)


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """Rows of one level in units of its deviations, and the start in these units, with the constant last."""

    vectors: Float32Array
    targets: FloatArray
    weights: FloatArray
    mean: FloatArray
    deviation: FloatArray
    begin: FloatArray

    @classmethod
    def from_rows(cls, rows: Rows, level: int, start: Vector) -> _Level:
        own = rows.subset(rows.levels == level)
        channels = own.vectors.shape[1]
        mean, deviation = np.zeros(channels), np.ones(channels)
        if len(own.vectors):
            mean = own.vectors.mean(0, dtype=np.float64)
            deviation = own.vectors.std(0, dtype=np.float64) + _TINY
        kernel = start.kernel[level]
        begin = np.append(kernel * deviation, start.constant[level] + kernel @ mean)
        scaled = ((own.vectors - mean) / deviation).astype(np.float32)
        return cls(scaled, own.targets, own.weights, mean, deviation, begin)

    def loss(self, values: FloatArray) -> tuple[float, FloatArray]:
        """Return the summed loss and its gradient."""
        logits = (self.vectors @ values[:-1].astype(np.float32)).astype(np.float64) + values[-1]
        loss = float((self.weights * (np.logaddexp(0, logits) - self.targets * logits)).sum())
        slope = self.weights * (expit(logits) - self.targets)
        return loss, np.append(slope.astype(np.float32) @ self.vectors, slope.sum())


def fit_vectors(rows: Rows, start: Vector, steps: int, count: int) -> list[Vector]:
    """Return several vectors of a class, each fitted to the examples nearest to it."""
    if count == 1:
        return [fit_vector(rows, start, steps)]
    group = _groups(rows.vectors[rows.positive], count)
    vectors = []
    for number in np.unique(group):
        kept = np.ones(len(rows.targets), dtype=bool)
        kept[rows.positive] = group == number  # examples of the other vectors count for nothing
        vectors.append(fit_vector(rows.subset(kept), start, steps))
    return vectors


def _groups(vectors: Float32Array, count: int, rounds: int = 10) -> IntArray:
    """Return the group of each vector, (n,), by k-means from the vectors that are farthest apart."""
    scaled = (vectors - vectors.mean(0)) / (vectors.std(0) + _TINY)
    centres = [scaled[np.argmin((scaled**2).sum(1))]]
    while len(centres) < count:
        nearest = np.min([((scaled - centre) ** 2).sum(1) for centre in centres], axis=0)
        centres.append(scaled[np.argmax(nearest)])
    group = np.zeros(len(scaled), dtype=np.int64)
    for _ in range(rounds):
        group = np.argmin([((scaled - centre) ** 2).sum(1) for centre in centres], axis=0)
        centres = [
            scaled[group == row].mean(0) if (group == row).any() else centres[row] for row in range(count)
        ]
    return group
