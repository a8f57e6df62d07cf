"""Bootstrap of the average precision at IoU 0.5."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.bootstrap import average_precision_samples, filled, interval
from medrov_cli.core.metrics.matching import FOUND, WRONG
from medrov_cli.core.records.boxes import FloatArray


def ap50_samples(split: ScoredSplit, weights: FloatArray) -> dict[str, FloatArray]:
    """Return the AP at IoU 0.5 of each class in each bootstrap sample, (samples,)."""
    matches, table = split.scorer.matches, split.table
    image, status = table.image[matches.rows], matches.status[0, 0]
    result = {}
    for label, name in enumerate(split.dataset.classes):
        scored = split.scored[:, label]
        precision = split.scorer.precision_at_recalls(label, scored)
        if precision is None:
            continue
        truth = (table.truth_label == label) & ~table.is_crowd & scored[table.truth_image]
        rows = split.scorer.rows_of(label, scored)
        samples = average_precision_samples(
            status[rows] == FOUND,
            status[rows] == WRONG,
            image[rows],
            np.bincount(table.truth_image[truth], minlength=table.images),
            weights,
        )
        result[name] = filled(samples, float(precision.mean()))
    return result


def macro_interval(samples: Mapping[str, FloatArray]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean over the classes; null without samples."""
    if not samples:
        return None
    return interval(np.mean(list(samples.values()), axis=0))
