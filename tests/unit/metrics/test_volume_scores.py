"""Scores of volumes against an independent brute force, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brute_volumes import Box, brute_ap, brute_sensitivity
from medrov_cli.core.metrics.bootstrap import draw_weights, units_of
from medrov_cli.core.metrics.froc import RATES
from medrov_cli.core.metrics.volume_scores import VolumeResult, iou_3d, score_volumes


def draw_boxes(rng: np.random.Generator, most: int) -> list[Box]:
    """Return boxes on whole numbers, close enough to overlap."""
    low = rng.integers(0, 7, (int(rng.integers(0, most + 1)), 3))
    high = low + rng.integers(1, 7, low.shape)
    return [tuple(map(float, row)) for row in np.concatenate((low, high), axis=1)]


def result_of(truth: list[Box], found: list[tuple[float, Box]]) -> VolumeResult:
    return VolumeResult(
        np.array(truth, dtype=np.float64).reshape(-1, 6),
        np.array([box for _, box in found], dtype=np.float64).reshape(-1, 6),
        np.array([score for score, _ in found], dtype=np.float64),
    )


@given(st.integers(0, 2**32 - 1))
def test_scores_are_those_of_a_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volumes = []
    for _ in range(int(rng.integers(1, 5))):
        found = draw_boxes(rng, 5)
        scores = rng.permutation(100)[: len(found)] / 100 + rng.random() / 1000  # all different
        volumes.append((draw_boxes(rng, 3), list(zip(scores.tolist(), found, strict=True))))
    if not any(truth for truth, _ in volumes):
        volumes.append(([(0.0, 0.0, 0.0, 2.0, 2.0, 2.0)], []))
    own = score_volumes([result_of(*volume) for volume in volumes])
    assert own.average_precision == pytest.approx(brute_ap(volumes), abs=1e-9)
    assert own.sensitivity == pytest.approx([brute_sensitivity(volumes, rate) for rate in RATES])
    assert own.cpm == pytest.approx(np.mean(own.sensitivity))
    assert own.cpm_interval is None


def test_iou_by_hand() -> None:
    """Two boxes of 4 x 4 x 4 that share half of their length: 32 of 96."""
    first = np.array([[0, 0, 0, 4, 4, 4.0]])
    second = np.array([[0, 0, 2, 4, 4, 6.0], [9, 9, 9, 10, 10, 10], [0, 0, 0, 0, 0, 0]])
    assert iou_3d(first, second).tolist() == [[pytest.approx(1 / 3), 0, 0]]


def test_intervals_are_drawn_by_patient() -> None:
    """Both volumes of a patient are drawn together: of two patients, all, half or none is found."""
    box, other = (0.0, 0, 0, 4, 4, 4), (50.0, 50, 50, 54, 54, 54)
    results = [result_of([box], [(0.9, box)])] * 2 + [result_of([box], [(0.8, other)])] * 2
    weights = draw_weights(units_of(["a", "a", "b", "b"]), 400, 0)
    own = score_volumes(results, weights)
    assert own.average_precision == pytest.approx(51 / 101)
    assert own.sensitivity == (0.5,) * 7
    assert own.cpm_interval == (0.0, 1.0)
    assert own.average_precision_interval == (0.0, 1.0)
