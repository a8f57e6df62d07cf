"""False positives of classes that an image is known not to show."""

from __future__ import annotations

from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.error_analysis import (
    ABSENT_THRESHOLDS,
    absent_rates,
)
from medrov_cli.core.records.boxes import FloatArray


def absent_section(split: ScoredSplit, operating: FloatArray) -> dict[str, Any]:
    """Return the false positives per image of classes that are known to be absent from the image.

    The rate of an image is the sum over all its absent classes, since all classes are searched.

    Parameters
    ----------
    split
        The scored split.
    operating
        Threshold of each class, (classes,).
    """
    rates, images = absent_rates(split.table, split.scored)
    own, _ = absent_rates(split.table, split.scored, operating[:, None])
    count = max(len(split.samples), 1)
    total = (rates * images[:, None]).sum(0) / count
    return {
        "thresholds": ABSENT_THRESHOLDS.tolist(),
        "false_positives_per_image": np.round(total, 6).tolist(),
        "at_operating_points": round(float((own[:, 0] * images).sum()) / count, 6),
        "images": len(split.samples),
        "classes": {
            name: {
                "images": int(images[label]),
                "false_positives_per_image": np.round(rates[label], 6).tolist(),
                "at_operating_point": round(float(own[label, 0]), 6),
            }
            for label, name in enumerate(split.dataset.classes)
            if images[label]
        },
    }
