"""Calibration error of the scores, and the reliability diagram."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.calibration import d_ece, reliability
from medrov_cli.core.metrics.error_analysis import (
    IOU,
)
from medrov_cli.core.records.score_maps import CalibrationInfo

CALIBRATION_FLOOR = 0.05
"""Detections with a lower score are left out of D-ECE: they are many, and no threshold shows them."""


def calibration_section(split: ScoredSplit, calibration: CalibrationInfo | None) -> dict[str, Any]:
    """Return D-ECE over all classes and by class, and the reliability diagram.

    A detection is right if COCO's greedy rule matches it at IoU 0.5.

    Parameters
    ----------
    split
        The scored split.
    calibration
        Calibration of the scores, as in ``detect``; null: raw scores. ``raw_d_ece`` is the error of the
        raw scores in both cases.
    """
    scores, raw, right = [], [], []
    classes = {}
    for label, name in enumerate(split.dataset.classes):
        own = split.class_scores(label)
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
