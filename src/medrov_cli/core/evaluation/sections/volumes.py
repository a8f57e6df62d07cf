"""Findings in volumes: 3-D AP, and FROC per scan with LUNA16's rule of a hit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.volume_results import (
    SplitVolume,
    findings_of,
    truth_boxes,
    volumes_of,
)
from medrov_cli.core.findings.find import ClassRule
from medrov_cli.core.metrics.bootstrap import draw_weights, units_of
from medrov_cli.core.metrics.froc import RATES
from medrov_cli.core.metrics.volume_scores import VolumeResult, count_hits, score_volumes
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration

IOUS = (0.1, 0.5)
"""IoU in space from which a finding is correct, of AP: 0.1 is usual for small objects (nnDetection)."""
LEAST_SCORE = 0.05
"""Raw score from which detections are linked: weaker ones join separate objects. It is that of the
calibration."""


def volume_section(
    split: ScoredSplit,
    thresholds: FloatArray,
    calibration: CalibrationInfo | None,
    samples: int,
    seed: int,
) -> dict[str, Any] | None:
    """Return the section on volumes; null if no image is a slice of a volume.

    A class is scored in the volumes of the sources that annotate it.

    Parameters
    ----------
    split
        The scored split.
    thresholds
        Raw score from which `detect` shows each class, (classes,).
    calibration
        Calibration of the weights; null without one.
    samples, seed
        Bootstrap over patients.
    """
    volumes, left_out = volumes_of(split)
    if not volumes and not left_out:
        return None
    rows = [volume.first_row for volume in volumes]
    units = units_of([_case(split, row) for row in rows])
    weights = draw_weights(units, samples if volumes else 0, seed)
    classes: dict[str, Any] = {}
    for label, name in enumerate(split.dataset.classes):
        fitted = None if calibration is None else calibration.for_name([name])
        entry = _class_entry(split, volumes, label, float(thresholds[label]), fitted, weights)
        if entry is not None:
            classes[name] = entry
    return {
        "volumes": len(volumes),
        "left_out": left_out,
        "least_score": LEAST_SCORE,
        "hit": "centre within the radius",
        "rates": list(RATES),
        "classes": classes,
        "mean": _mean(list(classes.values())),
        "bootstrap": {
            "unit": split.unit if split.unit == "case" else "volume",
            "units": int(units.max(initial=-1)) + 1,
            "samples": len(weights),
        },
    }


def volume_warnings(section: dict[str, Any] | None) -> list[str]:
    """Return a warning that counts the volumes that are not scored."""
    if section is None or not section["left_out"]:
        return []
    reason = "their slices have no positions in one grid, or there is only one"
    return [f"{section['left_out']} volume(s) are not scored in space: {reason}"]


def _case(split: ScoredSplit, row: int) -> str | None:
    sample = split.samples[row]
    return None if sample.case is None else f"{sample.source_id}/{sample.case}"


def _class_entry(
    split: ScoredSplit,
    volumes: Sequence[SplitVolume],
    label: int,
    threshold: float,
    fitted: ClassCalibration | None,
    weights: FloatArray,
) -> dict[str, Any] | None:
    """Return the figures of a class; null if no scored volume has an object of it."""
    is_scored = np.array([split.annotated[volume.first_row, label] for volume in volumes], dtype=bool)
    scored = [volume for volume, own in zip(volumes, is_scored, strict=True) if own]
    truths = [truth_boxes(split, volume, label) for volume in scored]
    objects = sum(map(len, truths))
    if not objects:
        return None
    recall = None if fitted is None else fitted.f1
    ranked = ClassRule(label, 0.0, recall)
    results = _results(split, scored, truths, ranked, LEAST_SCORE, fitted)
    own = {iou: score_volumes(results, weights[:, is_scored], iou=iou) for iou in IOUS}
    shown = ClassRule(label, _shown(threshold, fitted), recall)
    at_threshold = _results(split, scored, truths, shown, threshold, fitted)
    hits = sum(count_hits(result) for result in at_threshold)
    findings = sum(len(result.scores) for result in at_threshold)
    first = own[IOUS[0]]
    return {
        "truths": objects,
        "volumes": len(scored),
        "findings": sum(len(result.scores) for result in results),
        "ap": {f"{iou:g}": scores.average_precision for iou, scores in own.items()},
        "ap_intervals": {f"{iou:g}": scores.average_precision_interval for iou, scores in own.items()},
        "sensitivity": list(first.sensitivity),
        "cpm": first.cpm,
        "interval": first.cpm_interval,
        "at_threshold": {
            "threshold": threshold if math.isfinite(threshold) else None,
            "findings": findings,
            "recall": hits / objects,
            "precision": hits / findings if findings else 0.0,
        },
    }


def _results(
    split: ScoredSplit,
    volumes: Sequence[SplitVolume],
    truths: Sequence[FloatArray],
    rule: ClassRule,
    least: float,
    fitted: ClassCalibration | None,
) -> list[VolumeResult]:
    """Return objects and findings of a class, from detections with at least a raw score."""

    def shown(raw: FloatArray) -> FloatArray:
        return raw if fitted is None else fitted.apply(raw)

    found = [findings_of(split, volume, rule, least, shown) for volume in volumes]
    return [VolumeResult(truth, *own) for truth, own in zip(truths, found, strict=True)]


def _shown(threshold: float, fitted: ClassCalibration | None) -> float:
    """Return a threshold in the unit of the shown scores."""
    if not math.isfinite(threshold):
        return 1.0
    return threshold if fitted is None else float(fitted.apply(np.array([threshold]))[0])


def _mean(entries: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not entries:
        return None
    return {
        "ap": {f"{iou:g}": float(np.mean([own["ap"][f"{iou:g}"] for own in entries])) for iou in IOUS},
        "sensitivity": np.mean([own["sensitivity"] for own in entries], axis=0).tolist(),
        "cpm": float(np.mean([own["cpm"] for own in entries])),
        "recall": float(np.mean([own["at_threshold"]["recall"] for own in entries])),
        "precision": float(np.mean([own["at_threshold"]["precision"] for own in entries])),
    }
