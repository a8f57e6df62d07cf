"""AP by hand, and over the edges."""

from __future__ import annotations

import numpy as np
import pytest

from medrov_cli.core.metrics.average_precision import average_precision
from medrov_cli.core.metrics.detection_table import ImageResult
from medrov_cli.core.metrics.matching import MAX_DETECTIONS
from medrov_cli.core.records.detections import Detections


def _result(truth: list[tuple[int, list[float]]], found: list[tuple[int, float, list[float]]]) -> ImageResult:
    return ImageResult(
        np.array([box for _, box in truth], dtype=np.float64).reshape(-1, 4),
        np.array([label for label, _ in truth], dtype=np.int64),
        Detections(
            np.array([box for *_, box in found], dtype=np.float64).reshape(-1, 4),
            np.array([score for _, score, _ in found], dtype=np.float64),
            np.array([label for label, *_ in found], dtype=np.int64),
        ),
    )


BOX = [10.0, 10, 30, 30]
FAR = [60.0, 60, 80, 80]


def test_perfect_and_wrong() -> None:
    scores = average_precision([_result([(0, BOX), (1, FAR)], [(0, 0.9, BOX), (1, 0.9, BOX)])], [0, 1])
    assert scores[0].ap50 == pytest.approx(1)
    assert scores[0].ap == pytest.approx(1)
    assert scores[1].ap50 == 0


def test_a_better_scored_mistake_halves_the_precision() -> None:
    scores = average_precision([_result([(0, BOX)], [(0, 0.9, FAR), (0, 0.8, BOX)])], [0])
    assert scores[0].ap50 == pytest.approx(0.5)


def test_iou_of_three_quarters_counts_up_to_three_quarters() -> None:
    scores = average_precision([_result([(0, BOX)], [(0, 0.9, [10.0, 10, 30, 25])])], [0])
    assert scores[0].ap50 == pytest.approx(1)
    assert scores[0].ap == pytest.approx(6 / 10)  # 0.50, 0.55, ... 0.75 of ten thresholds


def test_classes_that_are_not_annotated_here_do_not_count() -> None:
    found = [(0, 0.8, BOX), (7, 0.9, FAR)]
    scores = average_precision([_result([(0, BOX)], found)], [0])
    assert list(scores) == [0]
    assert scores[0].ap50 == pytest.approx(1)


def test_no_truth_and_no_detections() -> None:
    assert average_precision([_result([], [(0, 0.9, BOX)])], [0]) == {}
    assert average_precision([_result([(0, BOX)], [])], [0])[0].ap50 == 0


def test_more_than_a_hundred_objects_count() -> None:
    boxes = [[x * 10.0, y * 10.0, x * 10.0 + 8, y * 10.0 + 8] for x in range(15) for y in range(15)]
    assert 100 < len(boxes) <= MAX_DETECTIONS
    image = _result([(0, box) for box in boxes], [(0, 0.9, box) for box in boxes])
    assert average_precision([image], [0])[0].ap50 == pytest.approx(1)
