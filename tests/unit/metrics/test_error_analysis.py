"""Absent objects, confusion and sizes, by hand."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.metrics.detection_table import DetectionTable
from medrov_cli.core.metrics.error_analysis import (
    ABSENT_THRESHOLDS,
    absent_rates,
    confusion,
    outcome_of,
    size_histogram,
)

BOXES = {"a": [10.0, 10, 30, 30], "b": [60.0, 60, 80, 80], "far": [100.0, 0, 110, 10]}


def table_of(
    truths: list[tuple[int, int, str]], found: list[tuple[int, int, str, float]], images: int = 2
) -> DetectionTable:
    """Objects and detections as (image, class, place)."""
    boxes = np.array([BOXES[t[2]] for t in truths]).reshape(-1, 4)
    return DetectionTable(
        images,
        np.array([t[0] for t in truths], dtype=np.int64),
        np.array([t[1] for t in truths], dtype=np.int64),
        boxes,
        (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
        np.zeros(len(truths), dtype=bool),
        np.array([f[0] for f in found], dtype=np.int64),
        np.array([f[1] for f in found], dtype=np.int64),
        np.array([BOXES[f[2]] for f in found]).reshape(-1, 4),
        np.array([f[3] for f in found]),
    )


def test_absent_classes_are_counted_only_where_it_is_known() -> None:
    table = table_of(
        [(0, 0, "a")], [(0, 0, "far", 0.9), (0, 1, "a", 0.5), (1, 0, "a", 0.3), (1, 1, "a", 0.9)]
    )
    scored = np.array([[True, True], [True, False]])
    rates, images = absent_rates(table, scored)
    assert images.tolist() == [1, 1]  # class 0 is in image 0; class 1 is not scored in image 1
    assert rates[0][ABSENT_THRESHOLDS == 0.3].tolist() == [1]
    assert rates[0][ABSENT_THRESHOLDS == 0.35].tolist() == [0]
    assert rates[1][ABSENT_THRESHOLDS == 0.5].tolist() == [1]
    assert rates[1][ABSENT_THRESHOLDS == 0.55].tolist() == [0]
    own, _ = absent_rates(table, scored, np.array([[0.3], [0.51]]))
    assert own.tolist() == [[1], [0]]


def test_confusion_names_the_class_that_was_taken_for_another() -> None:
    table = table_of(
        [(0, 0, "a"), (0, 0, "b"), (1, 1, "a")],
        [(0, 0, "a", 0.9), (0, 1, "a", 0.8), (0, 1, "b", 0.7), (1, 1, "far", 0.6), (1, 0, "a", 0.1)],
    )
    outcome = outcome_of(table, np.ones((2, 2), dtype=bool), np.array([0.2, 0.2]))
    counts = confusion(table, outcome, 2)
    # Object a is found; b is taken for class 1; the last object is missed. The second class on the
    # found object and the detection far away stand on background; 0.1 is below the threshold.
    assert counts.tolist() == [[1, 1, 0], [0, 0, 1], [0, 2, 0]]
    assert outcome.is_found.tolist() == [True, False, False]


def test_confusion_without_objects_and_without_detections() -> None:
    scored, thresholds = np.ones((2, 2), dtype=bool), np.zeros(2)
    only_found = table_of([], [(0, 1, "a", 0.9)])
    assert confusion(only_found, outcome_of(only_found, scored, thresholds), 2)[2].tolist() == [0, 1, 0]
    only_truth = table_of([(0, 1, "a")], [])
    assert confusion(only_truth, outcome_of(only_truth, scored, thresholds), 2)[1].tolist() == [0, 0, 1]


def test_what_is_not_scored_is_neither_right_nor_wrong() -> None:
    table = table_of([], [(0, 0, "a", 0.9), (1, 0, "a", 0.9)])
    outcome = outcome_of(table, np.array([[True], [False]]), np.zeros(1))
    assert outcome.rows.tolist() == [0]


def test_sizes_are_square_roots_of_areas() -> None:
    table = table_of([(0, 0, "a"), (0, 0, "far")], [(0, 0, "a", 0.9), (1, 0, "b", 0.9)])
    truths, found, wrong = size_histogram(table, outcome_of(table, np.ones((2, 1), dtype=bool), np.zeros(1)))
    # Edges 0, 8, 16, 24: side 20 lies in the third bin, side 10 in the second.
    assert truths[:4].tolist() == [0, 1, 1, 0]
    assert found[:4].tolist() == [0, 0, 1, 0]
    assert wrong[:4].tolist() == [0, 0, 1, 0]
