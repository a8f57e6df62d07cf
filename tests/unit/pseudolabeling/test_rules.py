"""Which proposals on a whole image become labels: by hand, and for any input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.datasets.laterality import mirror_rows
from medrov_cli.core.datasets.presence import POSSIBLE
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.ensemble import count_needed_votes, vote
from medrov_cli.core.prediction.selection import suppress_over_classes
from medrov_cli.core.pseudolabeling.rules import labels_for
from medrov_cli.core.records.boxes import iou_matrix
from medrov_cli.core.records.detections import Detections

CLASSES = 4


def found(*rows: tuple[list[float], float, int]) -> Detections:
    boxes = np.array([box for box, _, _ in rows], dtype=np.float64).reshape(-1, 4)
    return Detections(
        boxes,
        np.array([s for _, s, _ in rows], dtype=np.float64),
        np.array([c for *_, c in rows], dtype=np.int64),
    )


def sample(boxes: np.ndarray, crowds: np.ndarray | None = None, source_id: int = 0) -> Sample:
    crowds = np.zeros((0, 4), np.float32) if crowds is None else crowds
    return Sample(
        source_id=source_id,
        image_id=1,
        image_path=Path("1.png"),
        height=100,
        width=100,
        boxes_xyxy=boxes.astype(np.float32),
        labels=np.zeros(len(boxes), np.int64),
        case=None,
        areas=np.ones(len(boxes), np.float32),
        crowd_xyxy=crowds.astype(np.float32),
        crowd_labels=np.zeros(len(crowds), np.int64),
    )


def some_found(rng: np.random.Generator, count: int) -> Detections:
    corner = rng.integers(0, 80, (count, 2))
    boxes = np.concatenate((corner, corner + rng.integers(0, 20, (count, 2))), 1).astype(np.float64)
    return Detections(boxes, rng.uniform(0, 1, count), rng.integers(0, CLASSES, count))


def test_an_annotated_class_can_win_the_suppression() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 60, 60]], dtype=np.float64)
    kept = suppress_over_classes(boxes, np.array([0.91, 0.95, 0.92]), np.array([1, 0, 1]), 0.3)
    assert kept.labels.tolist() == [0, 1]
    assert kept.scores.tolist() == [0.95, 0.92]


def test_labels_by_hand() -> None:
    presence = np.array([[1, 0, -1, 0]], dtype=np.int8)
    seen = found(
        ([0, 0, 10, 10], 0.99, 0),  # annotated
        ([20, 0, 30, 10], 0.98, 1),  # possible
        ([40, 0, 50, 10], 0.97, 2),  # impossible
        ([60, 0, 70, 10], 0.96, 3),  # possible, but there is a box: IoU 0.5
        ([60, 40, 70, 50], 0.95, 3),  # within a crowd's box: IoU 1
        ([0, 40, 10, 50], 0.94, 3),  # IoU with a box 20 / 180: it stays
        ([0, 80, 0, 90], 0.93, 3),  # no area
        ([80, 80, 90, 90], 0.89, 3),  # too low
    )
    truth = np.array([[60, 0, 70, 5], [0, 48, 10, 58]])
    kept = labels_for(seen, sample(truth, np.array([[60, 40, 70, 50]])), presence, 0.3, 0.9)
    assert kept.boxes_xyxy.tolist() == [[20, 0, 30, 10], [0, 40, 10, 50]]
    assert kept.labels.tolist() == [1, 3]
    assert kept.scores.tolist() == [0.98, 0.94]


@given(
    seed=st.integers(0, 2**32 - 1),
    presence=st.lists(
        st.lists(st.sampled_from((1, 0, -1)), min_size=CLASSES, max_size=CLASSES), min_size=2, max_size=2
    ),
    row=st.integers(0, 1),
    truth_iou=st.floats(0, 1),
    score=st.floats(0, 1),
)
def test_never_a_label_for_an_annotated_or_impossible_class(
    seed: int, presence: list[list[int]], row: int, truth_iou: float, score: float
) -> None:
    rng = np.random.default_rng(seed)
    table = np.array(presence, dtype=np.int8)
    seen, truth = some_found(rng, 30), some_found(rng, int(rng.integers(0, 6))).boxes_xyxy
    kept = labels_for(seen, sample(truth, source_id=row), table, truth_iou, score)
    assert (table[row, kept.labels] == POSSIBLE).all()
    assert (kept.scores >= score).all()
    sides = kept.boxes_xyxy[:, 2:] - kept.boxes_xyxy[:, :2]
    assert (sides > 0).all()
    if len(truth):
        assert (iou_matrix(kept.boxes_xyxy, truth) < truth_iou).all()
    # Nothing else is lost.
    left = (table[row, seen.labels] == POSSIBLE) & (seen.scores >= score)
    left &= ((seen.boxes_xyxy[:, 2:] - seen.boxes_xyxy[:, :2]) > 0).all(1)
    if len(truth):
        left &= (iou_matrix(seen.boxes_xyxy, truth) < truth_iou).all(1)
    assert kept.scores.tolist() == seen.scores[left].tolist()


def test_votes_by_hand() -> None:
    views = [
        found(([0, 0, 10, 10], 0.95, 1), ([50, 50, 60, 60], 0.99, 1)),
        found(([0, 0, 10, 12], 0.97, 1), ([50, 50, 60, 60], 0.98, 2)),
        found(([0, 0, 10, 30], 0.93, 1)),  # IoU with the first two: 1/3 and 0.4
    ]
    two = vote(views, np.full(CLASSES, 2), 0.5, 0.3)
    assert two.boxes_xyxy.tolist() == [[0, 0, 10, 12]]
    assert (two.scores.tolist(), two.labels.tolist()) == ([0.97], [1])
    one = vote(views, np.full(CLASSES, 1), 0.5, 0.3)
    assert one.scores.tolist() == [0.99, 0.97]  # each object once
    assert len(vote(views, np.full(CLASSES, 3), 0.5, 0.3).scores) == 0


def test_a_view_votes_once() -> None:
    views = [found(([0, 0, 10, 10], 0.95, 1), ([0, 0, 10, 11], 0.94, 1)), found()]
    assert len(vote(views, np.full(CLASSES, 2), 0.5, 1.0).scores) == 0


@given(seed=st.integers(0, 2**32 - 1))
def test_one_view_agrees_with_itself(seed: int) -> None:
    own = some_found(np.random.default_rng(seed), 30)
    view = suppress_over_classes(own.boxes_xyxy, own.scores, own.labels, 0.3)
    again = vote([view], count_needed_votes(None, [np.arange(CLASSES)], CLASSES), 0.5, 0.3)
    assert again.boxes_xyxy.tolist() == view.boxes_xyxy.tolist()
    assert again.labels.tolist() == view.labels.tolist()


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4), data=st.data())
def test_more_votes_give_no_more_labels(seed: int, count: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    views = [some_found(rng, int(rng.integers(0, 20))) for _ in range(count)]
    least = data.draw(st.integers(1, count))
    kept = vote(views, np.full(CLASSES, least), 0.5, 1.0)  # an IoU of 1: no suppression
    for box, label in zip(kept.boxes_xyxy, kept.labels, strict=True):
        voters = 0
        for view in views:
            same = view.boxes_xyxy[view.labels == label]
            own = (same == box).all(1).any()
            voters += bool(own or (len(same) and (iou_matrix(box[None], same) >= 0.5).any()))
        assert voters >= least


def test_a_class_without_a_mirror_image_needs_the_straight_views_alone() -> None:
    classes = ("heart", "left lung", "right lung", "left kidney", "left ventricle")
    mirror = mirror_rows(classes)
    assert mirror.tolist() == [0, 2, 1, -1, -1]
    straight = np.arange(5)
    able = [straight, mirror[mirror >= 0]] * 2
    assert count_needed_votes(None, able, 5).tolist() == [4, 4, 4, 2, 2]
    assert count_needed_votes(3, able, 5).tolist() == [3, 3, 3, 2, 2]
    assert count_needed_votes(1, able, 5).tolist() == [1] * 5
