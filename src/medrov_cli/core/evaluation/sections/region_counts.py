"""Counts of objects in annotated regions of slides, at the operating points."""

from __future__ import annotations

from typing import Any

import numpy as np

from medrov_cli.core.datasets.prediction_images import image_name
from medrov_cli.core.datasets.slides.region_samples import RegionSample
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.records.boxes import FloatArray


def regions_section(split: ScoredSplit, thresholds: FloatArray) -> dict[str, Any] | None:
    """Return the counts of each region and class; null for a split without regions of slides.

    Parameters
    ----------
    split
        The scored split.
    thresholds
        Threshold of each class, (classes,).
    """
    table = split.table
    regions = [number for number, own in enumerate(split.samples) if isinstance(own, RegionSample)]
    if not regions:
        return None
    names = split.dataset.classes
    shape = (len(split.samples), len(names))
    truths, counted = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    solid = ~table.is_crowd
    np.add.at(truths, (table.truth_image[solid], table.truth_label[solid]), 1)
    shown = table.score >= thresholds[table.label]
    np.add.at(counted, (table.image[shown], table.label[shown]), 1)
    scored = split.scored
    classes = {}
    for label, name in enumerate(names):
        rows = np.array([number for number in regions if scored[number, label]], dtype=np.int64)
        if not len(rows) or not truths[rows, label].any():
            continue
        errors = counted[rows, label] - truths[rows, label]
        classes[name] = {
            "regions": len(rows),
            "truths": int(truths[rows, label].sum()),
            "counted": int(counted[rows, label].sum()),
            "mean_error": float(errors.mean()),
            "mean_absolute_error": float(np.abs(errors).mean()),
        }
    rows_of = [
        {
            "image": image_name(split.dataset, split.samples[number]),
            "counts": {
                name: {"truths": int(truths[number, label]), "counted": int(counted[number, label])}
                for label, name in enumerate(names)
                if scored[number, label] and name in classes
            },
        }
        for number in regions
    ]
    return {"classes": classes, "regions": rows_of}
