"""Do scores mean what they say: reliability, D-ECE, score maps and operating points.

Which detections are right is decided elsewhere: these are functions on scores and truths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.boxes import FloatArray
from medrov_cli.core.metrics.detections import BoolArray
from medrov_cli.core.weights.calibration import CalibrationInfo, ClassCalibration

BINS = 15
"""Of the reliability diagram, equally wide."""

FIT_FLOOR = 0.01
"""Lower scores take no part in a fit: there are thousands an image, nearly all wrong, and none is shown."""

MIN_DETECTIONS = 20
MIN_TRUTHS = 5
"""A class with fewer has too little to be fitted alone; it takes what all classes together give."""

MIN_F1 = 0.2
"""A class that is hardly found at all has its best F1 where everything is shown, which helps nobody: it
takes the threshold of all classes together, if that is higher."""

F1_SLACK = 0.01
"""Operating points give up this much F1 at the most. A few objects decide where exactly the best is;
of thresholds that are as good, the lowest misses the least in images that are a little different."""

_KNOTS = 65
_STRENGTH = 1.0
"""Of the logistic regression (its C): few detections that are all on their side must not give certainty."""

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The detections whose scores lie in one bin.

    Attributes
    ----------
    low, high
        Edges; a score on an edge belongs to the bin above it.
    count
        Number of detections.
    confidence, precision
        Mean score, and share of right detections; null in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    precision: float | None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold, and what it gives."""

    threshold: float
    f1: float
    precision: float
    recall: float


def reliability(scores: FloatArray, is_right: BoolArray, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Return how often detections of each score are right.

    Parameters
    ----------
    scores
        float, (n,), 0 to 1.
    is_right
        bool, (n,).
    bins
        Number of bins, equally wide from 0 to 1.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.searchsorted(edges[1:-1], scores, "right")
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=scores, minlength=bins) / count
        precision = np.bincount(place, weights=is_right, minlength=bins) / count
    return tuple(
        ReliabilityBin(low, high, own, mean if own else None, share if own else None)
        for low, high, own, mean, share in zip(
            edges[:-1].tolist(),
            edges[1:].tolist(),
            count.tolist(),
            confidence.tolist(),
            precision.tolist(),
            strict=True,
        )
    )


def d_ece(bins: Sequence[ReliabilityBin]) -> float | None:
    """Return the expected calibration error of detections (arXiv 2004.13546), from the score alone.

    The mean distance of precision and score over the bins, weighted by their counts; null
    without a detection.
    """
    total = sum(own.count for own in bins)
    if not total:
        return None
    return sum(
        own.count / total * abs(own.precision - own.confidence)
        for own in bins
        if own.precision is not None and own.confidence is not None
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
    ordered, right = scores[order], np.cumsum(is_right[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    f1 = 2 * right[last] / (last + 1 + truths)
    place = int(np.flatnonzero(f1 >= f1.max() - slack)[-1]) if 0 < slack < f1.max() else int(f1.argmax())
    shown = int(last[place]) + 1
    found = int(right[shown - 1])
    return OperatingPoint(float(ordered[shown - 1]), float(f1[place]), found / shown, found / truths)


def fit_isotonic(scores: FloatArray, is_right: BoolArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return knots (raw, calibrated) of the isotonic regression of right on score.

    Without a detection the map is the identity. Where all are right or all are wrong it is level at
    1 or 0, and where all scores are equal at the share of right ones.
    """
    if not len(scores):
        return (0.0, 1.0), (0.0, 1.0)
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(np.asarray(scores, dtype=np.float64), np.asarray(is_right, dtype=np.float64))
    return _knots(model.X_thresholds_, model.y_thresholds_)


def fit_platt(scores: FloatArray, is_right: BoolArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return knots (raw, calibrated) of the logistic regression of right on the score's logit.

    Where all detections are right or all are wrong there is nothing to regress: the map is
    level at the share of right ones, drawn in by one imagined detection of each kind (Platt).
    """
    right = int(np.sum(is_right))
    if right in (0, len(scores)):
        if not len(scores):
            return (0.0, 1.0), (0.0, 1.0)
        return (0.5,), (round((right + 1) / (len(scores) + 2), _DIGITS),)
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH)
    model.fit(_logit(scores)[:, None], is_right)
    slope, offset = max(float(model.coef_[0, 0]), 0.0), float(model.intercept_[0])
    raw = np.linspace(0.0, 1.0, _KNOTS)
    return _knots(raw, expit(slope * _logit(raw) + offset))


def fit_calibration(
    names: Sequence[str],
    scores: Sequence[FloatArray],
    is_right: Sequence[BoolArray],
    truths: Sequence[int],
    *,
    method: str,
    dataset: str,
    split: str,
    imgsz: int,
) -> CalibrationInfo:
    """Return score maps and operating points of every class.

    A class with fewer than 20 detections or 5 objects takes the map and the threshold of all
    classes together, and is left out of ``classes``.

    Parameters
    ----------
    names
        Of the classes.
    scores, is_right, truths
        Of each class: its detections, and the number of its objects.
    method
        ``isotonic`` or ``platt``.
    dataset, split, imgsz
        Kept in the record.
    """
    everything = _fit_class("", np.concatenate(scores), np.concatenate(is_right), sum(truths), method, 0.25)
    classes = [
        _fit_class(name, own, right, count, method, everything.threshold)
        for name, own, right, count in zip(names, scores, is_right, truths, strict=True)
        if count >= MIN_TRUTHS and (own >= FIT_FLOOR).sum() >= MIN_DETECTIONS
    ]
    return CalibrationInfo(method, dataset, split, imgsz, tuple(classes), everything)


def _fit_class(
    name: str, scores: FloatArray, is_right: BoolArray, truths: int, method: str, otherwise: float
) -> ClassCalibration:
    kept = scores >= FIT_FLOOR
    fit = fit_isotonic if method == "isotonic" else fit_platt
    raw, calibrated = fit(scores[kept], is_right[kept])
    point = best_f1(scores[kept], is_right[kept], truths, F1_SLACK)
    if point is None:
        return ClassCalibration(name, otherwise, 0.0, raw, calibrated)
    threshold = point.threshold if point.f1 >= MIN_F1 else max(point.threshold, otherwise)
    return ClassCalibration(name, threshold, point.f1, raw, calibrated)


def _logit(scores: FloatArray) -> FloatArray:
    inside = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def _knots(raw: FloatArray, calibrated: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rounded knots with raw rising and calibrated never falling."""
    raw = np.round(np.asarray(raw, dtype=np.float64), _DIGITS)
    calibrated = np.maximum.accumulate(np.round(np.asarray(calibrated, dtype=np.float64), _DIGITS))
    own = np.append(raw[1:] > raw[:-1], True)  # of knots that rounding made equal, the last
    return tuple(raw[own].tolist()), tuple(np.clip(calibrated[own], 0, 1).tolist())
