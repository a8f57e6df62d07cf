"""Box geometry: properties, and numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medrov_cli.core.records.boxes import clip_boxes, iou_matrix, xywh_to_xyxy, xyxy_to_xywh
from medrov_cli.core.records.suppression import nms, select

COORDINATES = st.floats(-1000, 1000, width=32)


@st.composite
def _boxes(draw: st.DrawFn, max_count: int = 30) -> np.ndarray:
    count = draw(st.integers(0, max_count))
    low = draw(hnp.arrays(np.float64, (count, 2), elements=st.floats(0, 100)))
    sides = draw(hnp.arrays(np.float64, (count, 2), elements=st.floats(0.5, 60)))
    return np.concatenate((low, low + sides), 1)


@given(_boxes())
def test_xywh_round_trip(boxes: np.ndarray) -> None:
    np.testing.assert_allclose(xywh_to_xyxy(xyxy_to_xywh(boxes)), boxes, atol=1e-9)


@given(_boxes(), _boxes())
def test_iou_is_a_symmetric_share(first: np.ndarray, second: np.ndarray) -> None:
    iou = iou_matrix(first, second)
    assert iou.shape == (len(first), len(second))
    assert ((iou >= 0) & (iou <= 1 + 1e-12)).all()
    np.testing.assert_allclose(iou, iou_matrix(second, first).T)
    np.testing.assert_allclose(np.diag(iou_matrix(first, first)), 1)


def test_iou_by_hand() -> None:
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[5.0, 5, 15, 15], [10, 0, 20, 10], [0, 0, 0, 0]])
    np.testing.assert_allclose(iou_matrix(a, b), [[25 / 175, 0, 0]])


def test_clip_by_hand() -> None:
    clipped = clip_boxes(np.array([[-3.0, 2, 50, 12]]), height=10, width=40)
    np.testing.assert_array_equal(clipped, [[0, 2, 40, 10]])


def _brute_force(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, limit: float) -> list[int]:
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        rivals = [k for k in kept if labels[k] == labels[row]]
        if all(iou_matrix(boxes[[row]], boxes[[k]])[0, 0] <= limit for k in rivals):
            kept.append(int(row))
    return kept


@given(_boxes(), st.integers(0, 2**31 - 1), st.sampled_from([0.0, 0.3, 0.6, 0.95]))
def test_nms_equals_brute_force(boxes: np.ndarray, seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random(len(boxes))
    labels = rng.integers(0, 3, len(boxes))
    kept = nms(boxes, scores, labels, limit, max_det=1000)
    assert kept.tolist() == _brute_force(boxes, scores, labels, limit)
    assert nms(boxes, scores, labels, limit, max_det=2).tolist() == kept[:2].tolist()


@pytest.mark.parametrize(("agnostic", "expected"), [(False, [0, 1]), (True, [0])])
def test_nms_over_labels(agnostic: bool, expected: list[int]) -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9]])
    kept = nms(boxes, np.array([0.9, 0.8]), np.array([0, 1]), 0.5, 10, class_agnostic=agnostic)
    assert kept.tolist() == expected


def test_select_lets_an_anchor_answer_for_two_classes() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [100, 100, 120, 120]])
    scores = np.array([[0.9, 0.6], [0.1, 0.05]])
    found, values, labels = select(boxes, scores, conf=0.1, iou=0.5, max_det=10)
    np.testing.assert_array_equal(values, [0.9, 0.6, 0.1])
    np.testing.assert_array_equal(labels, [0, 1, 0])
    np.testing.assert_array_equal(found[2], boxes[1])


def test_select_takes_a_threshold_a_class() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [100, 100, 120, 120]])
    scores = np.array([[0.9, 0.6], [0.3, 0.2]])
    _, values, labels = select(boxes, scores, conf=np.array([0.5, 0.2]), iou=0.5, max_det=10)
    np.testing.assert_array_equal(values, [0.9, 0.6, 0.2])  # at the threshold is enough
    np.testing.assert_array_equal(labels, [0, 1, 1])
