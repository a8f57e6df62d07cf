"""Which image comes when, and what it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.data.loader import sides_of
from medrov_cli.core.data.prompting import ClassTexts, choose_prompts, draw_texts
from medrov_cli.core.data.sampling import epoch_order, sample_weights
from medrov_cli.core.data.source import Sample


def _samples(sizes: list[int]) -> list[Sample]:
    none = np.zeros((0, 4), dtype=np.float32)
    return [
        Sample(
            source,
            i,
            Path("x"),
            1,
            1,
            none,
            np.zeros(0, dtype=np.int64),
            None,
            none[:, 0],
            none,
            np.zeros(0, dtype=np.int64),
        )
        for source, size in enumerate(sizes)
        for i in range(size)
    ]


@pytest.mark.parametrize(
    ("balance", "share"), [(0.0, 10 / 100), (1.0, 1 / 2), (0.5, 10**0.5 / (10**0.5 + 90**0.5))]
)
def test_share_of_a_small_source(balance: float, share: float) -> None:
    weights = sample_weights(_samples([10, 90]), balance)
    np.testing.assert_allclose(weights[:10].sum(), share)


@given(st.integers(0, 1000), st.floats(0, 1))
def test_epoch_draws_each_its_expected_number_of_times(seed: int, balance: float) -> None:
    weights = sample_weights(_samples([4, 40]), balance)
    order = epoch_order(weights, seed, epoch=2)
    assert len(order) == 44
    counts = np.bincount(order, minlength=44)
    assert (np.abs(counts - weights * 44) < 1 + 1e-9).all()
    np.testing.assert_array_equal(order, epoch_order(weights, seed, epoch=2))


def test_epochs_differ() -> None:
    weights = sample_weights(_samples([30]), 0.0)
    assert epoch_order(weights, 0, 0).tolist() != epoch_order(weights, 0, 1).tolist()
    assert sorted(epoch_order(weights, 0, 0).tolist()) == list(range(30))


@given(
    st.lists(st.lists(st.integers(0, 19), max_size=30), min_size=1, max_size=6),
    st.integers(1, 30),
    st.integers(0, 99),
)
def test_prompts_hold_the_positives_once_and_no_more_than_the_cap(
    labels: list[list[int]], cap: int, seed: int
) -> None:
    positives = [np.asarray(row, dtype=np.int64) for row in labels]
    chosen = choose_prompts(positives, 20, cap, np.random.default_rng(seed))
    assert len({len(row) for row in chosen}) == 1
    most = max(len(set(row)) for row in labels)
    for row, wanted in zip(chosen, labels, strict=True):
        assert set(wanted) <= set(row.tolist())
        assert len(set(row.tolist())) == len(row) <= max(cap, most, 1)


def test_texts_of_a_class() -> None:
    texts = ClassTexts.build(("a/b", "c"), {"c": ("d", "a")})
    assert texts.texts == ("a", "b", "c", "d")
    assert texts.rows == ((0, 1), (2, 3, 0))
    rng = np.random.default_rng(0)
    drawn = {int(draw_texts(np.array([1]), texts, rng)[0]) for _ in range(50)}
    assert drawn == {0, 2, 3}


def test_sides() -> None:
    assert sides_of(320, 0.0) == [320]
    assert sides_of(352, 0.2) == [288, 320, 352, 384, 416]
    assert min(sides_of(64, 1.0)) == 32
