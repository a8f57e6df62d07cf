"""Assignment of boxes of two slices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from medrov_cli.core.findings import assignment
from medrov_cli.core.findings.assignment import cheapest_assignment


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.1, 0.3, 0.6, 1.0]))
def test_result_is_that_of_the_whole_matrix(seed: int, rows: int, columns: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    allowed = rng.random((rows, columns)) < share
    cost = rng.random((rows, columns)) * 2
    pairs = cheapest_assignment(allowed, cost)
    assert all(allowed[pair] for pair in pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    every = np.where(allowed, cost, 1e6)
    best = every[linear_sum_assignment(every)]
    assert len(pairs) == (best < 1e6).sum()
    assert sum(cost[pair] for pair in pairs) == pytest.approx(best[best < 1e6].sum())


def test_more_pairs_are_better_than_cheap_ones() -> None:
    allowed = np.array([[True, True], [True, False]])
    assert cheapest_assignment(allowed, np.array([[0.0, 1.9], [1.9, 0.0]])) == [(0, 1), (1, 0)]


def test_scipy_is_not_needed_for_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "_solve", None)
    allowed = np.kron(np.eye(30, dtype=bool), np.ones((2, 3), dtype=bool))
    pairs = cheapest_assignment(allowed, np.random.default_rng(0).random(allowed.shape))
    assert len(pairs) == 60
