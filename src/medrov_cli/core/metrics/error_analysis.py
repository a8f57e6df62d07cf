"""Analysis of errors: absent classes, confusion of classes, object sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.metrics.detection_table import BoolArray, DetectionTable
from medrov_cli.core.metrics.matching import AREAS, FOUND, IGNORED, match
from medrov_cli.core.records.boxes import FloatArray, IntArray

ABSENT_THRESHOLDS = np.round(np.arange(1, 20) * 0.05, 2)
"""Scores at which false positives of absent classes are counted."""

SIZE_EDGES = (0.0, 8.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0, np.inf)
"""Edges of the size histogram: square root of the area, in pixels of the stored image."""

IOU = 0.5
"""Smallest IoU at which a detection finds an object."""


def absent_mask(table: DetectionTable, scored: BoolArray) -> BoolArray:
    """Return the classes that are known to be absent, bool, (images, classes)."""
    absent = scored.copy()
    absent[table.truth_image, table.truth_label] = False
    return absent


def absent_rates(
    table: DetectionTable, scored: BoolArray, thresholds: FloatArray = ABSENT_THRESHOLDS
) -> tuple[FloatArray, IntArray]:
    """Return the false positives per image of absent classes.

    Parameters
    ----------
    table
        Truth and detections.
    scored
        bool, (images, classes): images on which the presence of the class is known.
    thresholds
        Scores, (thresholds,), or one row per class, (classes, thresholds).

    Returns
    -------
    rates
        (classes, thresholds): detections per image, over the images in which the class is absent.
    images
        int64, (classes,): the number of those images.
    """
    absent = absent_mask(table, scored)
    wrong = absent[table.image, table.label]
    label, score = table.label[wrong], table.score[wrong]
    by_class = np.broadcast_to(thresholds, (scored.shape[1], thresholds.shape[-1]))
    above = score[:, None] >= by_class[label]
    counts = np.zeros(by_class.shape)
    np.add.at(counts, label, above)
    images = absent.sum(0)
    return counts / np.maximum(images, 1)[:, None], images


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Outcome of ``m`` detections and ``n`` objects, matched independently of their classes.

    Attributes
    ----------
    rows
        int64, (m,): rows of the table's detections.
    truth
        int64, (m,): the object that each detection finds by position alone; -1: none.
    is_right, is_wrong
        bool, (m,): detections that find an object of their class; detections that find none.
    is_found
        bool, (n,): objects found by a detection of their own class.
    """

    rows: IntArray
    truth: IntArray
    is_right: BoolArray
    is_wrong: BoolArray
    is_found: BoolArray


def outcome_of(table: DetectionTable, scored: BoolArray, thresholds: FloatArray) -> Outcome:
    """Return the outcome of scored detections above the thresholds of their classes.

    Parameters
    ----------
    table
        Truth and detections.
    scored
        bool, (images, classes).
    thresholds
        float, (classes,): smallest score of each class.
    """
    kept = np.flatnonzero(scored[table.image, table.label] & (table.score >= thresholds[table.label]))
    chosen = table.keep(kept)
    own = match(chosen, np.array([IOU]), AREAS[:1])
    right, wrong = np.zeros((2, len(kept)), dtype=bool)
    right[own.rows] = own.status[0, 0] == FOUND
    wrong[own.rows] = (own.status[0, 0] != FOUND) & (own.status[0, 0] != IGNORED)
    found = np.zeros(len(table.truth_label), dtype=bool)
    found[own.truth[own.truth >= 0]] = True
    one = chosen.with_labels(np.zeros_like(table.truth_label), np.zeros_like(chosen.label))
    place = match(one, np.array([IOU]), AREAS[:1])
    truth = np.full(len(kept), -1, dtype=np.int64)
    truth[place.rows] = place.truth
    # A detection that finds an object of its own class keeps it, also beside objects of other classes.
    truth[own.rows] = np.where(own.truth >= 0, own.truth, truth[own.rows])
    return Outcome(kept, truth, right, wrong, found)


def confusion(table: DetectionTable, outcome: Outcome, classes: int) -> IntArray:
    """Return counts by class of the object (rows) and of the detection (columns); last: background.

    int64, (classes + 1, classes + 1). An object counts once, by the detection that finds it. A detection of
    a second class on a found object counts as a detection on background.
    """
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    label = table.label[outcome.rows]
    right = outcome.is_right
    np.add.at(counts, (label[right], label[right]), 1)
    rows = np.flatnonzero(outcome.is_wrong & (outcome.truth >= 0))
    rows = rows[~outcome.is_found[outcome.truth[rows]]]
    first = np.zeros(len(label), dtype=bool)  # the first, best detection of each object
    first[rows[np.unique(outcome.truth[rows], return_index=True)[1]]] = True
    np.add.at(counts, (table.truth_label[outcome.truth[first]], label[first]), 1)
    alone = outcome.is_wrong & ~first
    counts[classes] += np.bincount(label[alone], minlength=classes + 1)
    seen = outcome.is_found.copy()
    seen[outcome.truth[first]] = True
    missed = ~seen & ~table.is_crowd
    counts[:, classes] += np.bincount(table.truth_label[missed], minlength=classes + 1)
    return counts


def size_histogram(table: DetectionTable, outcome: Outcome) -> tuple[IntArray, IntArray, IntArray]:
    """Return counts of objects, found objects and false positives by size, (sizes,); see ``SIZE_EDGES``."""
    counted = ~table.is_crowd
    sides = np.sqrt(table.truth_area)
    box = table.xyxy[outcome.rows[outcome.is_wrong]]
    wrong = np.sqrt(np.maximum(box[:, 2] - box[:, 0], 0) * np.maximum(box[:, 3] - box[:, 1], 0))
    histograms = [
        np.histogram(values, SIZE_EDGES)[0]
        for values in (sides[counted], sides[counted & outcome.is_found], wrong)
    ]
    return histograms[0], histograms[1], histograms[2]
