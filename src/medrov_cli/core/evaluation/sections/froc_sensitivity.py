"""FROC: sensitivity at fixed rates of false positives per image."""

from __future__ import annotations

from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics import froc
from medrov_cli.core.metrics.bootstrap import filled, interval
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.settings.values import HitRule

CURVE_POINTS = 200
"""Largest number of points of a FROC curve in the report; the curve ends at twice the largest rate."""


def froc_section(split: ScoredSplit, rule: HitRule, weights: FloatArray) -> dict[str, Any]:
    """Return sensitivities, CPM, their intervals, and the curve of each class.

    A class is scored on the images of the sources that annotate it. Images that cannot show a class
    would lower its rate of false positives: the section on absent classes scores those.

    Parameters
    ----------
    split
        The scored split.
    rule
        Rule by which a detection hits an object.
    weights
        Counts of the images in each bootstrap sample, (samples, images); may be empty.
    """
    scorer = split.froc(rule)
    classes, values, samples = {}, [], []
    for label, name in enumerate(split.dataset.classes):
        scored = split.annotated[:, label]
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
        "bootstrap": {"unit": split.unit, "units": len(np.unique(split.units)), "samples": len(weights)},
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
