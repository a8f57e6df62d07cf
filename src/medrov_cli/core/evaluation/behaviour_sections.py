"""The report's sections on how a detector behaves in use: FROC, calibration, absent objects, errors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics import froc
from medrov_cli.core.metrics.bootstrap import filled, interval
from medrov_cli.core.metrics.calibration import d_ece, reliability
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.error_analysis import (
    ABSENT_THRESHOLDS,
    IOU,
    SIZE_EDGES,
    Outcome,
    absent_rates,
    confusion,
    size_histogram,
)
from medrov_cli.core.metrics.operating import best_f1
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.score_maps import CalibrationInfo
from medrov_cli.core.settings.values import HitRule

CALIBRATION_FLOOR = 0.05
"""Detections below this score take no part in D-ECE: they are many, and nobody is shown them."""

CURVE_POINTS = 200
"""Points of a FROC curve in the report; it ends at twice the largest rate."""


def froc_section(scene: ScoredSplit, rule: HitRule, weights: FloatArray) -> dict[str, Any]:
    """Return sensitivities, CPM, their intervals, and the curve of each class.

    A class is scored on the images of the sources that annotate it. Images that cannot show it
    would only thin out the false positives: see :func:`absent_section` for those.

    Parameters
    ----------
    scene
        What is scored.
    rule
        When a detection hits.
    weights
        Of the bootstrap, (samples, images); may be empty.
    """
    scorer = scene.froc(rule)
    classes, values, samples = {}, [], []
    for label, name in enumerate(scene.dataset.classes):
        scored = scene.annotated[:, label]
        events = scorer.events(label, scored)
        if not events.truths.sum():
            continue
        value = froc.sensitivities(events, scored[None].astype(np.float64))[0]
        sample = filled(froc.sensitivities(events, weights * scored), value)
        values.append(value)
        samples.append(sample)
        classes[name] = {
            "truths": int(events.truths.sum()),
            "images": int(scored.sum()),
            "sensitivity": value.tolist(),
            "cpm": float(value.mean()),
            "interval": interval(sample.mean(1)),
            "curve": _thinned(*froc.curve(events, int(scored.sum()))),
        }
    return {
        "hit": str(rule),
        "rates": list(froc.RATES),
        "classes": classes,
        "mean": _mean_froc(values, samples),
        "bootstrap": {"unit": scene.unit, "units": len(np.unique(scene.units)), "samples": len(weights)},
    }


def _mean_froc(values: list[FloatArray], samples: list[FloatArray]) -> dict[str, Any] | None:
    if not values:
        return None
    mean = np.mean(values, axis=0)
    if not samples[0].size:
        return {"sensitivity": mean.tolist(), "intervals": None, "cpm": float(mean.mean()), "interval": None}
    drawn = np.mean(samples, axis=0)  # (samples, rates)
    return {
        "sensitivity": mean.tolist(),
        "intervals": [interval(column) for column in drawn.T],
        "cpm": float(mean.mean()),
        "interval": interval(drawn.mean(1)),
    }


def _thinned(rates: FloatArray, sensitivity: FloatArray) -> dict[str, list[float]]:
    shown = np.flatnonzero(rates <= 2 * froc.RATES[-1])
    if len(shown) > CURVE_POINTS:
        shown = shown[np.unique(np.linspace(0, len(shown) - 1, CURVE_POINTS).round().astype(int))]
    return {
        "false_positives_per_image": np.round(rates[shown], 5).tolist(),
        "sensitivity": np.round(sensitivity[shown], 5).tolist(),
    }


def calibration_section(scene: ScoredSplit, calibration: CalibrationInfo | None) -> dict[str, Any]:
    """Return D-ECE over all classes and by class, and the reliability diagram.

    A detection is right if COCO's greedy rule matches it at IoU 0.5. With a calibration, the
    scores are the calibrated ones, as ``detect`` shows them; ``raw_d_ece`` is that without it.
    """
    scores, raw, right = [], [], []
    classes = {}
    for label, name in enumerate(scene.dataset.classes):
        own = scene.class_scores(label)
        kept = own.scores >= CALIBRATION_FLOOR
        shown = own.scores[kept]
        raw.append(shown)
        if calibration is not None:
            shown = calibration.for_name([name]).apply(shown)
        scores.append(shown)
        right.append(own.is_right[kept])
        if kept.any():
            bins = reliability(shown, right[-1])
            classes[name] = {"d_ece": d_ece(bins), "detections": int(kept.sum())}
    joined, is_right = np.concatenate(scores), np.concatenate(right)
    bins = reliability(joined, is_right)
    return {
        "iou": IOU,
        "min_score": CALIBRATION_FLOOR,
        "scores": "raw" if calibration is None else "calibrated",
        "detections": len(joined),
        "d_ece": d_ece(bins),
        "raw_d_ece": d_ece(reliability(np.concatenate(raw), is_right)),
        "reliability": [dataclasses.asdict(own) for own in bins],
        "classes": classes,
    }


def absent_section(scene: ScoredSplit, operating: FloatArray) -> dict[str, Any]:
    """Return false positives an image when asked for classes that are not in the image.

    The rate of an image is that of all absent classes together: every class was asked for.

    Parameters
    ----------
    scene
        What is scored.
    operating
        The threshold of each class, (classes,), see :func:`operating_points`.
    """
    rates, images = absent_rates(scene.table, scene.scored)
    own, _ = absent_rates(scene.table, scene.scored, operating[:, None])
    count = max(len(scene.samples), 1)
    total = (rates * images[:, None]).sum(0) / count
    return {
        "thresholds": ABSENT_THRESHOLDS.tolist(),
        "false_positives_per_image": np.round(total, 6).tolist(),
        "at_operating_points": round(float((own[:, 0] * images).sum()) / count, 6),
        "images": len(scene.samples),
        "classes": {
            name: {
                "images": int(images[label]),
                "false_positives_per_image": np.round(rates[label], 6).tolist(),
                "at_operating_point": round(float(own[label, 0]), 6),
            }
            for label, name in enumerate(scene.dataset.classes)
            if images[label]
        },
    }


def operating_points(
    scene: ScoredSplit, calibration: CalibrationInfo | None
) -> tuple[FloatArray, dict[str, Any]]:
    """Return each class's threshold, (classes,), and what it is worth on these images.

    The thresholds are those of the weights where they have any; else those of the best F1 on
    these very images, which flatters.
    """
    thresholds = np.full(len(scene.dataset.classes), math.inf)
    classes = {}
    for label, name in enumerate(scene.dataset.classes):
        own = scene.class_scores(label)
        if calibration is not None:
            thresholds[label] = calibration.for_name([name]).threshold
        elif (best := best_f1(own.scores, own.is_right, own.truths)) is not None:
            thresholds[label] = best.threshold
        if own.truths:
            classes[name] = _worth(own.scores, own.is_right, own.truths, float(thresholds[label]))
    known = [f1 for entry in classes.values() if (f1 := entry["f1"]) is not None]
    origin = "best F1 on these images"
    if calibration is not None:
        origin = f"weights (fitted on {calibration.dataset}, {calibration.split})"
    return thresholds, {
        "origin": origin,
        "macro_f1": float(np.mean(known)) if known else None,
        "classes": classes,
    }


def _worth(scores: FloatArray, is_right: BoolArray, truths: int, threshold: float) -> dict[str, float | None]:
    shown = scores >= threshold
    right, count = int((shown & is_right).sum()), int(shown.sum())
    precision, recall = right / count if count else 0.0, right / truths
    f1 = 2 * right / (count + truths)
    return {
        "threshold": threshold if math.isfinite(threshold) else None,
        "f1": f1,
        "precision": precision,
        "recall": recall,
    }


def error_sections(scene: ScoredSplit, outcome: Outcome, origin: str) -> Mapping[str, Any]:
    """Return the confusion matrix and the size histogram at the operating points."""
    classes = scene.dataset.classes
    truths, found, wrong = size_histogram(scene.table, outcome)
    return {
        "confusion": {
            "labels": [*classes, "background"],
            "counts": confusion(scene.table, outcome, len(classes)).tolist(),
            "iou": IOU,
            "thresholds": origin,
        },
        "sizes": {
            "edges_px": [edge if math.isfinite(edge) else None for edge in SIZE_EDGES],
            "truths": truths.tolist(),
            "found": found.tolist(),
            "false_positives": wrong.tolist(),
        },
    }
