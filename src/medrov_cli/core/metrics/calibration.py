"""Calibration of scores: reliability, D-ECE, and the fit of score maps and operating points.

The functions take scores, and for each detection whether it is correct (:mod:`.matching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.operating import (
    SMOOTHING,
    ClassScores,
    Fitted,
    best_f1,
    join_scores,
    limit_absent,
    logits,
)
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration

BINS = 15
"""Number of equally wide bins of the reliability diagram."""

FIT_FLOOR = 0.01
"""Lowest score of a fit: lower ones are thousands per image, nearly all wrong, and never shown."""

MIN_DETECTIONS = 20
MIN_TRUTHS = 5
"""Smallest number of objects of a class with its own fit; others use the fit of all classes together."""

MIN_F1 = 0.2
"""Smallest F1 of a class with its own threshold. A class with a lower F1 has its best F1 at very low
thresholds: it uses the threshold of all classes together, if that is higher."""

F1_SLACK = 0.01
"""Largest loss of F1 at an operating point. The exact optimum depends on few objects; the lowest threshold
of equal quality misses the fewest objects on other images."""

_KNOTS = 65
_STRENGTH = 1.0
"""C of the logistic regression: with few, separable detections the scores must not reach 0 or 1."""

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Detections with scores in one bin.

    Attributes
    ----------
    low, high
        Edges; a score on an edge belongs to the upper bin.
    count
        Number of detections.
    confidence, precision
        Mean score, and fraction of correct detections; null in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    precision: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Held-out images, and all others.

    Attributes
    ----------
    others, held_out
        Detections and objects of each class in the two parts.
    images
        Number of the others.
    """

    others: Sequence[ClassScores]
    held_out: Sequence[ClassScores]
    images: int


def reliability(scores: FloatArray, is_right: BoolArray, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Return the fraction of correct detections by score.

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
    """Return the expected calibration error of detections (arXiv 2004.13546), by score alone.

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


def fit_isotonic(scores: FloatArray, is_right: BoolArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return knots (raw, calibrated) of the isotonic regression of correctness on score.

    Without a detection the map is the identity. If all detections are correct or all are wrong, it is
    constant at 1 or 0. If all scores are equal, it is constant at the fraction of correct ones.
    """
    if not len(scores):
        return (0.0, 1.0), (0.0, 1.0)
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(np.asarray(scores, dtype=np.float64), np.asarray(is_right, dtype=np.float64))
    return _knots(model.X_thresholds_, model.y_thresholds_)


def fit_platt(scores: FloatArray, is_right: BoolArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return knots (raw, calibrated) of the logistic regression of correctness on the score's logit.

    If all detections are correct or all are wrong, the map is constant at the fraction of correct ones, with
    one additional detection of each kind (Platt).
    """
    right = int(np.sum(is_right))
    if right in (0, len(scores)):
        if not len(scores):
            return (0.0, 1.0), (0.0, 1.0)
        return (0.5,), (round((right + 1) / (len(scores) + 2), _DIGITS),)
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH)
    model.fit(logits(scores)[:, None], is_right)
    slope, offset = max(float(model.coef_[0, 0]), 0.0), float(model.intercept_[0])
    raw = np.linspace(0.0, 1.0, _KNOTS)
    return _knots(raw, expit(slope * logits(raw) + offset))


def fit_calibration(
    names: Sequence[str],
    found: Sequence[ClassScores],
    *,
    images: int,
    absent_limit: float | None,
    folds: Sequence[Fold] = (),
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
        Names of the classes.
    found
        Detections of each class, and the number of its objects.
    images
        Number of images on which all classes were requested.
    absent_limit
        Maximum number of false positives of absent classes per image, see
        :func:`~medrov_cli.core.metrics.operating.limit_absent`; null: no limit.
    folds
        Parts of the images that are held out in turn to evaluate the limit.
    method
        ``isotonic`` or ``platt``.
    dataset, split, imgsz
        Stored in the record.
    """
    everything = _fit_class("", join_scores(found), method, 0.25)
    by_name = {
        name: _fit_class(name, own, method, everything.threshold)
        for name, own in zip(names, found, strict=True)
        if own.truths >= MIN_TRUTHS and (own.scores >= FIT_FLOOR).sum() >= MIN_DETECTIONS
    }
    if absent_limit is not None:
        alone = [row for row, name in enumerate(names) if name in by_name]
        rest = sum(own.absent_from(everything.threshold) for row, own in enumerate(found) if row not in alone)
        smoothing = SMOOTHING if folds else 0.0
        limited = limit_absent(
            Fitted(
                [found[row] for row in alone],
                [own.threshold for own in by_name.values()],
                images,
                smoothing,
            ),
            absent_limit - rest / max(images, 1),
            [
                (
                    _without_limit(fold.others, alone, fold.images, smoothing),
                    [fold.held_out[row] for row in alone],
                )
                for fold in folds
            ],
        )
        for row, threshold in zip(alone, limited, strict=True):
            own = found[row]
            by_name[names[row]] = replace(by_name[names[row]], threshold=threshold, f1=own.f1_from(threshold))
    return CalibrationInfo(method, dataset, split, imgsz, tuple(by_name.values()), everything)


def _without_limit(
    found: Sequence[ClassScores], rows: Sequence[int], images: int, smoothing: float
) -> Fitted:
    """Return classes with their operating points on these images, without a limit."""
    otherwise = _operating_point(join_scores(found), 0.25)[0]
    own = [found[row] for row in rows]
    return Fitted(own, [_operating_point(scores, otherwise)[0] for scores in own], images, smoothing)


def _operating_point(own: ClassScores, otherwise: float) -> tuple[float, float]:
    """Return threshold and F1 of a class; ``otherwise`` is its threshold if it has too few detections."""
    kept = own.scores >= FIT_FLOOR
    point = best_f1(own.scores[kept], own.is_right[kept], own.truths, F1_SLACK)
    if point is None:
        return otherwise, 0.0
    return point.threshold if point.f1 >= MIN_F1 else max(point.threshold, otherwise), point.f1


def _fit_class(name: str, own: ClassScores, method: str, otherwise: float) -> ClassCalibration:
    kept = own.scores >= FIT_FLOOR
    fit = fit_isotonic if method == "isotonic" else fit_platt
    raw, calibrated = fit(own.scores[kept], own.is_right[kept])
    return ClassCalibration(name, *_operating_point(own, otherwise), raw, calibrated)


def _knots(raw: FloatArray, calibrated: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rounded knots, with raw strictly increasing and calibrated never decreasing."""
    raw = np.round(np.asarray(raw, dtype=np.float64), _DIGITS)
    calibrated = np.maximum.accumulate(np.round(np.asarray(calibrated, dtype=np.float64), _DIGITS))
    own = np.append(raw[1:] > raw[:-1], True)  # the last of knots that are equal after rounding
    return tuple(raw[own].tolist()), tuple(np.clip(calibrated[own], 0, 1).tolist())
