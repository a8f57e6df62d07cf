"""Suppression and pairs by a grid: as by comparing all with all."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.records import box_grid, suppression
from medrov_cli.core.records.box_grid import near_pairs, pair_ious
from medrov_cli.core.records.boxes import iou_matrix
from medrov_cli.core.records.grid_suppression import nms_by_grid
from medrov_cli.core.records.suppression import nms


def random_boxes(seed: int, count: int, extent: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes of all sizes, scores with ties, and labels."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, extent, (count, 2))
    boxes = np.hstack((corners, corners + rng.lognormal(2, 1, (count, 2))))
    return boxes, rng.random(count).round(2), rng.integers(0, 3, count)


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 200),
    extent=st.sampled_from([20.0, 100.0, 1000.0]),
    iou=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]),
)
def test_the_grid_keeps_what_greedy_suppression_keeps(
    seed: int, count: int, extent: float, iou: float
) -> None:
    boxes, scores, labels = random_boxes(seed, count, extent)
    assert nms_by_grid(boxes, scores, labels, iou).tolist() == nms(boxes, scores, labels, iou, 10**9).tolist()


@pytest.mark.parametrize("agnostic", [False, True])
def test_many_boxes_are_suppressed_as_few_are(monkeypatch: pytest.MonkeyPatch, agnostic: bool) -> None:
    boxes, scores, labels = random_boxes(3, 700, 100)
    by_grid = nms(boxes, scores, labels, 0.5, 250, agnostic)
    monkeypatch.setattr(suppression, "GRID_FROM", 701)
    assert by_grid.tolist() == nms(boxes, scores, labels, 0.5, 250, agnostic).tolist()
    assert len(by_grid) == 250


@given(seed=st.integers(0, 10**6), count=st.integers(0, 120), iou=st.sampled_from([0.0, 0.3, 0.5]))
def test_near_pairs_hold_every_pair_above_the_iou_once(seed: int, count: int, iou: float) -> None:
    boxes, _, labels = random_boxes(seed, count, 60)
    pairs = [pair for one, two in near_pairs(boxes, labels, iou) for pair in zip(one, two, strict=True)]
    found = {(min(pair), max(pair)) for pair in pairs}
    assert len(found) == len(pairs)
    first, second = np.nonzero(np.triu(iou_matrix(boxes, boxes) > iou, 1) & (labels[:, None] == labels))
    assert set(zip(first.tolist(), second.tolist(), strict=True)) <= found
    np.testing.assert_allclose(pair_ious(boxes, first, second), iou_matrix(boxes, boxes)[first, second])


def test_pairs_come_in_parts_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, scores, labels = random_boxes(1, 300, 40)
    expected = nms_by_grid(boxes, scores, labels, 0.5)
    monkeypatch.setattr(box_grid, "PAIRS_AT_ONCE", 50)
    assert all(len(one) <= 300 for one, _ in near_pairs(boxes, labels, 0.5))
    assert nms_by_grid(boxes, scores, labels, 0.5).tolist() == expected.tolist()


def test_a_long_chain_of_overlaps_is_resolved_in_order() -> None:
    left = np.arange(2000, dtype=float)
    boxes = np.stack((left, np.zeros(2000), left + 3, np.full(2000, 3.0)), axis=1)  # neighbours: IoU 0.5
    scores = np.linspace(1, 0.5, 2000)
    kept = nms_by_grid(boxes, scores, np.zeros(2000, np.int64), 0.4)
    assert kept.tolist() == list(range(0, 2000, 2))


@pytest.mark.slow
def test_a_million_boxes_take_seconds() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50_000, (10**6, 2))
    boxes = np.hstack((corners, corners + rng.uniform(15, 60, (10**6, 2))))
    started = time.process_time()
    nms_by_grid(boxes, rng.random(10**6), rng.integers(0, 3, 10**6), 0.7)
    assert time.process_time() - started < 20  # measured 1.6 s
