"""Bootstrap over patients: the sampling variation of a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medrov_cli.core.metrics.average_precision import RECALLS
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.records.boxes import FloatArray, IntArray

LEVEL = 95.0
"""Percentage of the samples in an interval."""


def units_of(cases: Sequence[str | None]) -> IntArray:
    """Return the unit of each image, int64, (images,); images of one case are one unit.

    Images of one patient are correlated; drawn one by one they would give intervals that are too narrow.
    An image without a case is a separate unit.
    """
    seen: dict[str | int, int] = {}
    keys = [number if case is None else case for number, case in enumerate(cases)]
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)


def draw_weights(units: IntArray, samples: int, seed: int) -> FloatArray:
    """Return the count of each image in each sample, float32, (samples, images).

    Each sample draws as many units as there are, with replacement.
    """
    count = int(units.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    drawn = np.zeros((samples, count), dtype=np.float32)
    for sample in range(samples):
        drawn[sample] = np.bincount(rng.integers(0, count, count), minlength=count)
    return drawn[:, units]


def filled(samples: FloatArray, estimate: float | FloatArray) -> FloatArray:
    """Return samples in which the estimate replaces values without an object.

    Leaving these values out would remove classes with few objects from many samples, and would shift the
    mean over classes.
    """
    return np.where(np.isnan(samples), estimate, samples)


def interval(values: FloatArray) -> tuple[float, float] | None:
    """Return the percentile interval of samples; NaN are left out, null without any."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(low), float(high)


def average_precision_samples(
    found: BoolArray, wrong: BoolArray, image: IntArray, truths: IntArray, weights: FloatArray
) -> FloatArray:
    """Return COCO's AP at one threshold for each weighting of the images, (samples,).

    Parameters
    ----------
    found, wrong
        bool, (m,): outcome of each detection of the class, best score first.
    image
        int64, (m,).
    truths
        int64, (images,): objects in each image.
    weights
        float, (samples, images).

    Returns
    -------
    ndarray
        NaN where a sample has no object.
    """
    hits = np.flatnonzero(found)
    totals = weights @ truths
    result = np.full(len(weights), np.nan)
    wrong_image, wrong_before = image[wrong], np.cumsum(wrong)[hits]
    for row, (weight, total) in enumerate(zip(weights, totals, strict=True)):
        if not total:
            continue
        right = np.cumsum(weight[image[hits]], dtype=np.float64)
        mistakes = np.append(0, np.cumsum(weight[wrong_image], dtype=np.float64))[wrong_before]
        precision = right / (right + mistakes + np.spacing(1))
        precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        result[row] = precision[np.searchsorted(right / total, RECALLS, "left")].mean()
    return result
