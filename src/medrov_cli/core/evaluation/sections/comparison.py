"""Differences of two runs on the same images, with intervals by a paired bootstrap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.datasets.foreign_coco import read_predictions
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.sections.ap50_interval import ap50_samples
from medrov_cli.core.metrics.bootstrap import interval
from medrov_cli.core.records.boxes import FloatArray

_PROTOCOLS = ("presence", "plain")

PREDICTIONS = "predictions.json"
"""File of the detections, beside the report."""


def read_other(
    path: Path, split: ScoredSplit, split_name: str, truth_sha256: str
) -> tuple[dict[str, Any], ScoredSplit]:
    """Return the report of another run, and the split with its detections.

    Parameters
    ----------
    path
        ``report.json`` of the other run; ``predictions.json`` is beside it.
    split
        The split with the detections of this run.
    split_name, truth_sha256
        Name of the split, and SHA-256 of the ground truth, which must be equal.

    Raises
    ------
    MedrovError
        ``USAGE``: no report, or one on other images; ``PREDICTIONS_INVALID``.
    """
    try:
        report = read_json(path)
        other = report["dataset"]["truth_sha256"]
        for protocol in _PROTOCOLS:
            _ap50_of_classes(report, protocol)
            for figure in _figures(protocol).values():
                _at(report, figure)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise usage_error(
            f"--compare {path} is not a report of medrov eval", "Give DIR/report.json."
        ) from error
    if other != truth_sha256:
        raise usage_error(
            f"--compare {path} is a report on other images or annotations",
            "Evaluate both on the same dataset and split.",
        )
    found, _ = read_predictions(path.parent / PREDICTIONS, split.dataset, split_name)  # type: ignore[arg-type]
    return report, split.with_detections(found)


def comparison_section(
    this: tuple[Mapping[str, Any], ScoredSplit],
    other: tuple[Mapping[str, Any], ScoredSplit],
    weights: FloatArray,
    with_: str,
) -> dict[str, Any]:
    """Return the differences of the AP at IoU 0.5, by class and on average, and of other figures.

    Parameters
    ----------
    this, other
        Report and scored split of both runs.
    weights
        Counts of the images in each bootstrap sample, (samples, images), for both runs.
    with_
        Name of the other run.
    """
    classes = {}
    drawn = [ap50_samples(split, weights) for _, split in (this, other)]
    protocol = "plain" if this[1].plain else "presence"
    mine, theirs = (_ap50_of_classes(report, protocol) for report, _ in (this, other))
    for name in mine:
        if name in theirs and name in drawn[0] and name in drawn[1]:
            classes[name] = _entry(mine[name], theirs[name], drawn[0][name] - drawn[1][name])
    shared = [name for name in classes if drawn[0][name].size]
    metrics = {
        "mAP50": _entry(
            _mean([classes[name]["this"] for name in classes]),
            _mean([classes[name]["other"] for name in classes]),
            _mean_of([drawn[0][name] - drawn[1][name] for name in shared]),
        )
    }
    for title, path in _figures(protocol).items():
        values = [_at(report, path) for report, _ in (this, other)]
        metrics[title] = _entry(values[0], values[1], None)
    return {
        "with": with_,
        "samples": len(weights),
        "unit": this[1].unit,
        "metrics": metrics,
        "classes": classes,
    }


def _ap50_of_classes(report: Mapping[str, Any], protocol: str) -> dict[str, float | None]:
    return {name: _number(own["ap50"]) for name, own in report["coco"][protocol]["classes"].items()}


def _figures(protocol: str) -> dict[str, tuple[str, ...]]:
    """Return the places in a report of the figures without an interval, by title."""
    return {
        "mAP50-95": ("coco", protocol, "macro", "ap"),
        "mAP50, mean of sources": ("coco", protocol, "macro_sources", "ap50"),
        "CPM": ("froc", "mean", "cpm"),
        "D-ECE": ("calibration", "d_ece"),
    }


def _entry(this: float | None, other: float | None, drawn: FloatArray | None) -> dict[str, Any]:
    return {
        "this": this,
        "other": other,
        "difference": None if this is None or other is None else this - other,
        "interval": None if drawn is None or not drawn.size else interval(drawn),
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _mean_of(values: list[FloatArray]) -> FloatArray | None:
    return np.mean(values, axis=0) if values else None


def _at(report: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    """Return a number of a report; null if a part of the report, or its value, is null or absent."""
    value: Any = report
    for key in path:
        value = None if value is None else value.get(key)
    return _number(value)


def _number(value: Any) -> float | None:
    """Return a number or null of a report.

    Raises
    ------
    TypeError, ValueError
        It is neither, or not finite.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not math.isfinite(value):
        raise ValueError
    return value
