"""Confusion matrix of the classes at the operating points."""

from __future__ import annotations

from typing import Any

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.error_analysis import (
    IOU,
    Outcome,
    confusion,
)


def confusion_section(split: ScoredSplit, outcome: Outcome, origin: str) -> dict[str, Any]:
    """Return the confusion matrix: rows are ground truth, columns detections, the last is background.

    Parameters
    ----------
    split
        The scored split.
    outcome
        Result of each object and each detection at the operating points.
    origin
        Origin of the thresholds.
    """
    classes = split.dataset.classes
    return {
        "labels": [*classes, "background"],
        "counts": confusion(split.table, outcome, len(classes)).tolist(),
        "iou": IOU,
        "thresholds": origin,
    }
