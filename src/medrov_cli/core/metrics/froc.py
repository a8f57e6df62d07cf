"""FROC: sensitivity by false positives per image, and its bootstrap over patients.

A detection is a false positive if it hits no object of its class. It finds at most one object, the best
one that is not yet found. A detection that hits only found objects counts neither as correct nor as
wrong. The sensitivity at a rate is the largest with at most that many false positives per image;
detections of equal score are accepted together. CPM is the mean over
:data:`RATES`, as in LUNA16 (arXiv 1612.08012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.metrics.detection_table import BoolArray, DetectionTable
from medrov_cli.core.metrics.matching import (
    AREAS,
    FOUND,
    IGNORED,
    MAX_DETECTIONS,
    Overlap,
    iou_of_pairs,
    match,
    nearness_of_pairs,
)
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.settings.values import HitRule

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per image at which LUNA16 samples the sensitivity."""

_SMALLEST = 1e-12  # a centre exactly on the radius is a miss
_ROWS_AT_ONCE = 4_000_000  # cells of a bootstrap matrix


@dataclass(frozen=True, slots=True, eq=False)
class ClassEvents:
    """Hits and false positives of one class.

    Attributes
    ----------
    hit_image, hit_score
        Image and score of each found object.
    wrong_image, wrong_score
        Image and score of each false positive, best score first.
    truths
        int64, (images,): objects in each image.
    """

    hit_image: IntArray
    hit_score: FloatArray
    wrong_image: IntArray
    wrong_score: FloatArray
    truths: IntArray


class FrocScorer:
    """Scorer of any class on any subset of the images.

    Parameters
    ----------
    table
        Truth and detections.
    rule
        Rule of a hit.
    """

    def __init__(self, table: DetectionTable, rule: HitRule, max_det: int = MAX_DETECTIONS) -> None:
        overlap: Overlap = nearness_of_pairs if rule.iou is None else iou_of_pairs
        least = np.array([_SMALLEST if rule.iou is None else rule.iou])
        matches = match(table, least, AREAS[:1], max_det, overlap)
        rows, status = matches.rows, matches.status[0, 0]
        self._table = table
        self._image, self._label, self._score = table.image[rows], table.label[rows], table.score[rows]
        self._hit = status == FOUND
        self._wrong = ~self._hit & (status != IGNORED) & ~matches.touches

    def events(self, label: int, images: BoolArray) -> ClassEvents:
        """Return the hits and false positives of a class on a subset of images, bool, (images,)."""
        own = (self._label == label) & images[self._image]
        hit, wrong = np.flatnonzero(own & self._hit), np.flatnonzero(own & self._wrong)
        wrong = wrong[np.argsort(-self._score[wrong], kind="stable")]
        table = self._table
        counted = (table.truth_label == label) & ~table.is_crowd & images[table.truth_image]
        return ClassEvents(
            self._image[hit],
            self._score[hit],
            self._image[wrong],
            self._score[wrong],
            np.bincount(table.truth_image[counted], minlength=table.images),
        )


def curve(events: ClassEvents, images: int) -> tuple[FloatArray, FloatArray]:
    """Return false positives per image and sensitivity at every score, from none to all detections."""
    scores = np.unique(np.concatenate([events.hit_score, events.wrong_score]))[::-1]
    hits = np.searchsorted(np.sort(-events.hit_score), -scores, "right")
    wrong = np.searchsorted(-events.wrong_score, -scores, "right")
    total = events.truths.sum()
    return np.append(0, wrong) / images, np.append(0, hits) / total


def sensitivities(events: ClassEvents, weights: FloatArray) -> FloatArray:
    """Return the sensitivity at :data:`RATES` for each weighting of the images.

    Parameters
    ----------
    events
        Events of one class.
    weights
        float, (samples, images): count of each image; 0 if the class is not scored on it.

    Returns
    -------
    ndarray
        (samples, 7); NaN where a sample has no object.
    """
    allowed = weights.sum(1, keepdims=True) * RATES
    # The score of the first false positive above the rate; detections at this score are left out.
    limit = np.full(allowed.shape, -np.inf)
    most = len(events.wrong_image)
    step = max(1, _ROWS_AT_ONCE // max(most, 1))
    for start in range(0, len(weights), step) if most else ():
        part = slice(start, start + step)
        count = np.cumsum(weights[part][:, events.wrong_image], axis=1)
        for row, (counts, limits) in enumerate(zip(count, allowed[part], strict=True), start=start):
            first = np.searchsorted(counts, limits + 1e-9, "right")
            limit[row] = np.append(events.wrong_score, -np.inf)[first]
    order = np.argsort(-events.hit_score, kind="stable")
    hits = np.cumsum(weights[:, events.hit_image[order]], axis=1)
    hits = np.concatenate([np.zeros((len(weights), 1)), hits], axis=1)
    above = np.searchsorted(-events.hit_score[order], -limit, "left")
    total = weights @ events.truths
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.take_along_axis(hits, above, axis=1) / total[:, None])
