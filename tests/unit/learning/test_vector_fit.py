"""Fit of a vector on region vectors: hand-made rows, and the choice of positive anchors."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.learning.vector_fit import Rows, fit_vector, fit_vectors
from medrov_cli.core.prediction.embedding_space import Vector
from medrov_cli.core.prediction.example_anchors import assign_anchors
from medrov_cli.core.records.regions import centres_of

CHANNELS = 4


def rows_of(seed: int, positives: int = 5, background: int = 200) -> Rows:
    """Return rows whose positives differ from the background in the first channel alone."""
    rng = np.random.default_rng(seed)
    count = positives + background
    vectors = rng.normal(size=(count, CHANNELS)).astype(np.float32)
    vectors[:positives, 0] += 4
    targets = np.zeros(count)
    targets[:positives] = 1
    return Rows(vectors, rng.integers(0, 3, count), targets, np.ones(count))


def zero() -> Vector:
    return Vector(np.zeros((3, CHANNELS)), np.full(3, -4.0))


def logits_of(vector: Vector, rows: Rows) -> np.ndarray:
    kernels = vector.kernel[rows.levels]
    return (kernels * rows.vectors).sum(1) + vector.constant[rows.levels]


@given(st.integers(0, 1000))
def test_fit_separates_positives_and_is_deterministic(seed: int) -> None:
    rows = rows_of(seed)
    fitted = fit_vector(rows, zero(), 60)
    found = logits_of(fitted, rows)
    assert found[rows.positive].mean() > found[~rows.positive].mean() + 0.8  # at least 0.98 for all seeds
    again = fit_vector(rows, zero(), 60)
    assert (fitted.kernel == again.kernel).all()
    assert (fitted.constant == again.constant).all()


def test_fit_keeps_the_kernel_of_a_level_without_rows() -> None:
    rows = rows_of(1)
    rows = rows.subset(rows.levels != 2)
    start = Vector(np.arange(12.0).reshape(3, 4), np.array([1.0, 2.0, 3.0]))
    fitted = fit_vector(rows, start, 60)
    np.testing.assert_allclose(fitted.kernel[2], start.kernel[2])
    assert np.abs(fitted.kernel[1] - start.kernel[1]).max() > 0.1
    assert fitted.constant[2] < 3  # it follows the shift of the other levels


def test_several_vectors_find_two_kinds_that_one_vector_cannot() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.3, (420, CHANNELS)).astype(np.float32)
    vectors[:10, 0] += 3
    vectors[10:20, 0] -= 3  # on the other side of the background: no line has both on one side
    targets = np.zeros(420)
    targets[:20] = 1
    rows = Rows(vectors, np.zeros(420, dtype=np.int64), targets, np.ones(420))

    def recall(vectors: list[Vector]) -> float:
        found = np.max([logits_of(own, rows) for own in vectors], axis=0)
        return float((found[:20] > found[20:].max()).mean())

    assert recall(fit_vectors(rows, zero(), 60, 1)) < 0.6
    assert recall(fit_vectors(rows, zero(), 60, 2)) == 1


def test_targets_are_the_best_anchors_inside_an_example() -> None:
    centres = centres_of(64)
    boxes = np.concatenate((centres - 4, centres + 4), 1).astype(np.float32)
    truth, crowd = np.array([[4.0, 4.0, 20.0, 20.0]]), np.array([[40.0, 40.0, 64.0, 64.0]])
    targets, ignored = assign_anchors(boxes, truth, crowd, centres)
    assert targets.max() == 1
    assert 1 <= (targets > 0).sum() <= 5
    assert (centres[targets > 0] > 4).all()
    assert (centres[targets > 0] < 20).all()
    assert ignored[((centres > 40) & (centres < 64)).all(1)].all()
    assert not ignored[targets > 0].any()


def test_an_example_without_a_fitting_box_has_one_positive_anchor() -> None:
    centres = centres_of(64)
    far = np.tile(np.array([[60, 60, 63, 63]], np.float32), (len(centres), 1))
    targets, _ = assign_anchors(far, np.array([[1.0, 1.0, 9.0, 9.0]]), np.zeros((0, 4)), centres)
    assert np.flatnonzero(targets).tolist() == [0]  # centre (4, 4)
