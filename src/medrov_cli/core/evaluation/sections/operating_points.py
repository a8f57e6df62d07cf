"""Thresholds of the classes, with F1, precision and recall."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.operating import ClassScores, best_f1
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.score_maps import CalibrationInfo

MAX_LOSS = 0.05
"""Loss of F1 by a limit on absent classes above which a class is named in a warning."""


def operating_points(
    split: ScoredSplit, calibration: CalibrationInfo | None
) -> tuple[FloatArray, dict[str, Any]]:
    """Return the threshold of each class, (classes,), and the section on them.

    Without a calibration, the thresholds are those of the best F1 on the same images, which
    overestimates F1. ``best_f1`` is that F1 with any thresholds. ``without_limit`` has the figures at the
    thresholds that the fit had before a limit on absent classes raised them; null if none did.

    Parameters
    ----------
    split
        The scored split.
    calibration
        Calibration of the weights, with their operating points; null without one.
    """
    thresholds = np.full(len(split.dataset.classes), math.inf)
    classes = {}
    for label, name in enumerate(split.dataset.classes):
        own = split.class_scores(label)
        fitted = None if calibration is None else calibration.for_name([name])
        best = best_f1(own.scores, own.is_right, own.truths)
        if fitted is not None:
            thresholds[label] = fitted.threshold
        elif best is not None:
            thresholds[label] = best.threshold
        if own.truths:
            free = None if fitted is None else fitted.free_threshold
            classes[name] = {
                **_figures(own, float(thresholds[label])),
                "best_f1": 0.0 if best is None else best.f1,
                "without_limit": None if free is None else _figures(own, free),
            }
    origin = "best F1 on these images"
    if calibration is not None:
        origin = f"weights (fitted on {calibration.dataset}, {calibration.split})"
    return thresholds, {
        "origin": origin,
        "macro_f1": _mean(entry["f1"] for entry in classes.values()),
        "best_macro_f1": _mean(entry["best_f1"] for entry in classes.values()),
        "classes": classes,
    }


def limit_warnings(section: dict[str, Any]) -> list[str]:
    """Return a warning that names the classes whose F1 suffers from the limit on absent classes."""
    lost = {
        name: entry["without_limit"]["f1"] - entry["f1"]
        for name, entry in section["classes"].items()
        if entry["without_limit"] is not None
    }
    named = [
        f"{name} ({100 * loss:.0f})"
        for name, loss in sorted(lost.items(), key=lambda item: -item[1])
        if loss > MAX_LOSS
    ]
    if not named:
        return []
    cost = f"the limit on absent classes costs more than {100 * MAX_LOSS:.0f} points of F1 in"
    return [f"{cost} {len(named)} class(es): {', '.join(named)}"]


def _figures(own: ClassScores, threshold: float) -> dict[str, Any]:
    shown = own.scores >= threshold
    right, count = int((shown & own.is_right).sum()), int(shown.sum())
    return {
        "threshold": threshold if math.isfinite(threshold) else None,
        "f1": 2 * right / (count + own.truths),
        "precision": right / count if count else 0.0,
        "recall": right / own.truths,
    }


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None
