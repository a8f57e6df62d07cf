"""Calibration of scores: reliability, D-ECE, and the fit of score maps and operating points.

The functions take scores, and for each detection whether it is correct (:mod:`.matching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.expected_f1 import FIT_FLOOR, ClassThresholds, above_floor
from medrov_cli.core.metrics.operating import (
    SMOOTHING,
    ClassScores,
    Fitted,
    join_scores,
    limit_absent,
    logits,
)
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration

BINS = 15
"""Number of equally wide bins of the reliability diagram."""

MIN_DETECTIONS = 20
MIN_TRUTHS = 5
"""Smallest numbers of detections and objects of a class with its own score map; others use the map of all
classes together."""

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

    If all detections are correct or all are wrong, or if correctness does not rise with the score, the map is
    constant at the fraction of correct ones, with one additional detection of each kind (Platt).
    """
    if not len(scores):
        return (0.0, 1.0), (0.0, 1.0)
    right = int(np.sum(is_right))
    constant = (0.5,), (round((right + 1) / (len(scores) + 2), _DIGITS),)
    if right in (0, len(scores)):
        return constant
    from scipy.special import expit
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH)
    model.fit(logits(scores)[:, None], is_right)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        return constant
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

    The threshold of a class is the lowest with the largest expected F1 on other images. Its detections are
    spread by `SMOOTHING`, and one object of the typical class is added, so that the threshold of a class with
    few objects does not depend on one of them. The threshold of all classes has the largest mean F1 of
    classes; it is that of classes without objects, which are left out of ``classes``. A class with fewer than
    20 detections or 5 objects has the score map of all classes together.

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
    points = ClassThresholds.fit(found)
    joined = join_scores(found)
    everything = fit_class("", joined, method, points.pooled)
    by_name = {}
    for name, own, threshold in zip(names, found, points.by_class, strict=True):
        if threshold is None:
            continue
        has_map = own.truths >= MIN_TRUTHS and (own.scores >= FIT_FLOOR).sum() >= MIN_DETECTIONS
        fitted = fit_class(name, own, method, threshold)
        by_name[name] = (
            fitted if has_map else replace(fitted, raw=everything.raw, calibrated=everything.calibrated)
        )
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
            free = by_name[names[row]]
            if threshold > free.threshold:
                f1 = found[row].f1_from(threshold)
                by_name[names[row]] = replace(free, threshold=threshold, f1=f1, free_threshold=free.threshold)
    return CalibrationInfo(method, dataset, split, imgsz, tuple(by_name.values()), everything)


def _without_limit(
    found: Sequence[ClassScores], rows: Sequence[int], images: int, smoothing: float
) -> Fitted:
    """Return classes with their operating points on these images, without a limit."""
    points = ClassThresholds.fit(found)
    own = [points.by_class[row] for row in rows]
    thresholds = [points.pooled if threshold is None else threshold for threshold in own]
    return Fitted([found[row] for row in rows], thresholds, images, smoothing)


def fit_class(name: str, own: ClassScores, method: str, threshold: float) -> ClassCalibration:
    """Return the map of a class and its F1 at a threshold."""
    kept = above_floor(own)
    fit = fit_isotonic if method == "isotonic" else fit_platt
    raw, calibrated = fit(kept.scores, kept.is_right)
    return ClassCalibration(name, threshold, own.f1_from(threshold), raw, calibrated)


def _knots(raw: FloatArray, calibrated: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rounded knots, with raw strictly increasing and calibrated never decreasing."""
    raw = np.round(np.asarray(raw, dtype=np.float64), _DIGITS)
    calibrated = np.maximum.accumulate(np.round(np.asarray(calibrated, dtype=np.float64), _DIGITS))
    own = np.append(raw[1:] > raw[:-1], True)  # the last of knots that are equal after rounding
    return tuple(raw[own].tolist()), tuple(np.clip(calibrated[own], 0, 1).tolist())
