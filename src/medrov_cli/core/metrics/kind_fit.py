"""Fit of the classifier of image kinds on pooled features; scikit-learn is used here alone.

The features are projected to the directions that separate the kinds (linear discriminant analysis), and to
those in which images of no kind vary. There a multinomial logistic regression gives the logits. Its
temperature, and the rule by which an image is of no kind, are fitted on other images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.image_kinds import KindTensors, correct_features

UNKNOWN_RATE = 0.003
"""Largest fraction of the images of the calibration that the limit may call unknown. On held-out sources of
omnis-mini 11 to 15 % were unknown with it, and 20 to 26 % with 0.01."""

STRENGTH = 0.03
"""Inverse regularisation of the logistic regression (scikit-learn's ``C``)."""

SHRINKAGE = 0.02
"""Weight of the identity in the correlation within sources. More lowered the accuracy on held-out sources."""

NEGATIVE_DIRECTIONS = 40
"""Directions for images of no kind; with 80, more images of held-out sources were unknown."""

_FLOOR = 1e-3  # of a standard deviation: features without variance carry no information


@dataclass(frozen=True, slots=True, eq=False)
class KindFeatures:
    """Pooled features of images.

    Attributes
    ----------
    pooled
        float32, (n, 2 * channels).
    content_shares
        (n,): fraction of the square model input that each image covers.
    groups
        int64, (n,): source of each image; -1: an image of no kind.
    """

    pooled: Float32Array
    content_shares: FloatArray
    groups: IntArray

    def corrected(self, padding: Float32Array) -> FloatArray:
        """Return the features without the border, float64, (n, 2 * channels)."""
        return correct_features(self.pooled, self.content_shares, padding).astype(np.float64)


def fit_kind_tensors(
    train: KindFeatures, val: KindFeatures, source_kinds: IntArray, padding: Float32Array
) -> tuple[KindTensors, float]:
    """Return a classifier, and the fraction of the images of ``val`` that it calls unknown.

    Parameters
    ----------
    train, val
        Images of the fit, and of the calibration; each contains images of no kind.
    source_kinds
        int64, (sources,): kind of each source, counted from 0 without gaps.
    padding
        Pooled features of an image of the letterbox's grey.
    """
    from sklearn.linear_model import LogisticRegression

    kinds = int(source_kinds.max()) + 1
    x, is_own = train.corrected(padding), train.groups >= 0
    weights = _balanced(train.groups, is_own)
    labels = np.where(is_own, source_kinds[train.groups], kinds)
    offset, projection = _project(x, train.groups, labels, weights, kinds)
    z = (x - offset) @ projection
    model = LogisticRegression(C=STRENGTH, max_iter=200).fit(z, labels, sample_weight=weights)
    logit_weight, bias = _all_columns(model.coef_, model.intercept_, model.classes_, kinds)
    centres = np.stack(
        [np.average(z[labels == kind], axis=0, weights=weights[labels == kind]) for kind in range(kinds)]
    )
    z = (val.corrected(padding) - offset) @ projection
    is_own = val.groups >= 0
    logits = z @ logit_weight + bias
    scale = 1 / _temperature(logits[is_own], source_kinds[val.groups[is_own]])
    logits = logits * scale
    unknown, rate = _fit_unknown(z, logits, centres, is_own)
    arrays = (padding, offset, projection, logit_weight * scale, bias * scale, centres, unknown)
    return KindTensors(*(np.asarray(array, dtype=np.float32) for array in arrays)), rate


def _balanced(groups: IntArray, is_own: np.ndarray) -> FloatArray:
    """Return the weight of each image: sources count by the square root of their size; mean 1."""
    counts = np.bincount(groups[is_own])
    weights = np.ones(len(groups))
    weights[is_own] = 1 / np.sqrt(counts[groups[is_own]])
    weights[is_own] /= weights[is_own].mean()
    return weights


def _project(
    x: FloatArray, groups: IntArray, labels: IntArray, weights: FloatArray, kinds: int
) -> tuple[FloatArray, FloatArray]:
    """Return the offset, (f,), and the projection, (f, d)."""
    means = {group: x[groups == group].mean(0) for group in np.unique(groups) if group >= 0}
    kind_of = {group: int(labels[groups == group][0]) for group in means}
    share = {group: weights[groups == group].sum() for group in means}
    centres = np.stack(
        [
            np.average(
                [means[group] for group in means if kind_of[group] == kind],
                axis=0,
                weights=[share[group] for group in means if kind_of[group] == kind],
            )
            for kind in range(kinds)
        ]
    )
    scatter = np.zeros((x.shape[1],) * 2)
    for group, mean in means.items():  # within a source, and of the sources of a kind
        own = (x[groups == group] - mean) * np.sqrt(weights[groups == group])[:, None]
        away = mean - centres[kind_of[group]]
        scatter += own.T @ own + share[group] * np.outer(away, away)
    scatter /= sum(share.values())
    deviation = np.sqrt(np.diag(scatter)) + _FLOOR
    values, vectors = np.linalg.eigh(scatter / np.outer(deviation, deviation))
    whiten = (vectors / np.sqrt((1 - SHRINKAGE) * np.maximum(values, 0) + SHRINKAGE)) / deviation[:, None]
    offset = centres.mean(0)
    others = (x[groups < 0] - offset) @ whiten
    between = np.concatenate(((centres - offset) @ whiten, others.mean(0)[None]))
    directions = _directions(between, kinds)
    rest = others - (others @ directions.T) @ directions
    rest /= np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1)
    more = _directions(rest, NEGATIVE_DIRECTIONS)
    return offset, whiten @ np.concatenate((directions, more)).T


def _directions(rows: FloatArray, count: int) -> FloatArray:
    """Return orthonormal directions of the largest second moments, at most ``count``, without empty ones."""
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    return directions[:count][sizes[:count] > _FLOOR]


def _all_columns(
    coefficients: FloatArray, intercepts: FloatArray, classes: IntArray, kinds: int
) -> tuple[FloatArray, FloatArray]:
    """Return weights, (d, kinds + 1), and biases from scikit-learn's, which has one row for two classes."""
    if len(classes) == 2:
        coefficients = np.concatenate((-coefficients, coefficients)) / 2
        intercepts = np.concatenate((-intercepts, intercepts)) / 2
    weight, bias = np.zeros((coefficients.shape[1], kinds + 1)), np.zeros(kinds + 1)
    weight[:, classes], bias[classes] = coefficients.T, intercepts
    return weight, bias


def _temperature(logits: FloatArray, labels: IntArray) -> float:
    """Return the temperature with the lowest negative log likelihood."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return float((logsumexp(scaled, axis=1) - scaled[rows, labels]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded").x))


def _fit_unknown(
    z: FloatArray, logits: FloatArray, centres: FloatArray, is_own: np.ndarray
) -> tuple[FloatArray, float]:
    """Return the rule of :class:`KindTensors`, (3,), and the fraction of images of kinds that it rejects."""
    from sklearn.linear_model import LogisticRegression

    best = logits[:, :-1].argmax(1)
    distance = ((z - centres[best]) ** 2).sum(1)
    margin = logits[:, -1] - logits[np.arange(len(best)), best]
    features = np.stack((np.log(distance + 1e-9), margin), 1)
    model = LogisticRegression().fit(features, ~is_own)
    slope, weight = np.maximum(model.coef_[0], 0)
    scores = slope * features[:, 0] + weight * features[:, 1]
    own = np.sort(scores[is_own])[::-1]
    limit = own[int(UNKNOWN_RATE * len(own))]
    return np.array([slope, weight, limit + 1e-3]), float((own > limit + 1e-3).mean())
