"""Precision by recall at IoU 0.5."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit


def precision_recall_section(split: ScoredSplit) -> dict[str, list[float]]:
    """Return the precision of each class at 101 recalls, IoU 0.5."""
    curves = {}
    for label, name in enumerate(split.dataset.classes):
        precision = split.scorer.precision_at_recalls(label, split.scored[:, label])
        if precision is not None:
            curves[name] = np.round(precision, 5).tolist()
    return curves
