"""Our matching against pycocotools, on random and degenerate detections."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_tables import random_table
from medrov_cli.core.evaluation.reference_ap import reference_scores
from medrov_cli.core.metrics.average_precision import CocoScorer
from medrov_cli.core.metrics.detection_table import DetectionTable
from medrov_cli.core.metrics.matching import nearness_of_pairs


def assert_equal_to_pycocotools(table: DetectionTable, classes: int, max_det: int) -> None:
    scorer = CocoScorer(table, max_det)
    everywhere = np.ones(table.images, dtype=bool)
    ours = {label: scorer.of_class(label, everywhere) for label in range(classes)}
    reference = reference_scores(table, range(classes), max_det)
    assert {label for label, score in ours.items() if score is not None} == set(reference)
    for label, score in reference.items():
        assert astuple(ours[label]) == pytest.approx(astuple(score), abs=1e-9)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(0, 60),
    st.integers(0, 150),
    st.booleans(),
    st.sampled_from([11, 20, 300]),
)
def test_equal_to_pycocotools(
    seed: int, images: int, classes: int, truths: int, found: int, grid: bool, max_det: int
) -> None:
    table = random_table(np.random.default_rng(seed), images, classes, truths, found, grid=grid)
    assert_equal_to_pycocotools(table, classes, max_det)


@pytest.mark.slow
def test_equal_to_pycocotools_in_a_crowd_of_small_objects() -> None:
    table = random_table(np.random.default_rng(0), 2, 1, 900, 2000, grid=False)
    assert_equal_to_pycocotools(table, 1, 300)


def test_boxes_without_area_and_outside_each_other() -> None:
    boxes = np.array([[5.0, 5, 5, 5], [0, 0, 10, 10], [0, 0, 0, 10]])
    rows = np.zeros(3, dtype=np.int64)
    table = DetectionTable(
        1, rows, rows, boxes, np.array([0.0, 100, 0]), rows > 0, rows, rows, boxes[::-1], np.full(3, 0.5)
    )
    assert_equal_to_pycocotools(table, 1, 300)


def test_part_of_the_images_is_as_if_the_others_were_not_there() -> None:
    table = random_table(np.random.default_rng(3), 10, 2, 60, 150, grid=True)
    part = np.arange(10) < 4
    alone = DetectionTable(
        10,
        *(values[part[table.truth_image]] for values in (table.truth_image, table.truth_label)),
        *(values[part[table.truth_image]] for values in (table.truth_xyxy, table.truth_area, table.is_crowd)),
        *(values[part[table.image]] for values in (table.image, table.label, table.xyxy, table.score)),
    )
    assert CocoScorer(table).of_class(0, part) == CocoScorer(alone).of_class(0, np.ones(10, dtype=bool))


def test_pooled_equals_one_class_where_all_are_one() -> None:
    table = random_table(np.random.default_rng(4), 10, 3, 60, 150, grid=False)
    scorer = CocoScorer(table)
    scored = np.zeros((10, 3), dtype=bool)
    scored[:, 1] = True
    assert scorer.pooled(scored) == scorer.of_class(1, np.ones(10, dtype=bool))


def test_nearness_is_measured_in_radii() -> None:
    truth = np.array([[0.0, 0, 20, 40]] * 3)
    found = np.array([[8.0, 18, 12, 22], [8, 18, 27, 22], [100, 100, 101, 101]])
    near = nearness_of_pairs(found, truth, np.array([False, False, False]))
    assert near[0] == pytest.approx(1)
    assert near[1] == pytest.approx(1 - 7.5 / 15)
    assert near[2] < 0
    assert nearness_of_pairs(found[:1], truth[:1], np.array([True])).tolist() == [1]
