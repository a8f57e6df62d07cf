"""Statistics of rounds: pure functions with rules that hold for all numbers."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.benchmarking.memory import growth
from medrov_cli.core.benchmarking.rounds import interleave, over_rounds, percentile, ratio, rounded, spread

SPEEDS = st.floats(0.01, 1e5)
SEVERAL = st.lists(SPEEDS, min_size=1, max_size=40)


@given(st.integers(1, 5), st.integers(1, 6))
def test_all_take_turns_in_the_same_order(count: int, rounds: int) -> None:
    calls: list[int] = []

    def act(number: int) -> int:
        calls.append(number)
        return len(calls)

    results = interleave([partial(act, number) for number in range(count)], rounds=rounds)
    assert calls == list(range(count)) * rounds
    assert results == [[1 + own + count * turn for turn in range(rounds)] for own in range(count)]


@given(st.lists(st.floats(0.1, 3), min_size=1, max_size=3), st.floats(0.1, 10))
def test_a_time_is_filled_with_whole_rounds(lengths: list[float], seconds: float) -> None:
    now = 0.0

    def act(length: float) -> float:
        nonlocal now
        now += length
        return length

    results = interleave([partial(act, x) for x in lengths], seconds=seconds, clock=lambda: now)
    (rounds,) = {len(own) for own in results}
    assert rounds >= 1
    assert now >= seconds
    assert rounds == 1 or now - sum(lengths) < seconds + 1e-9


@given(SEVERAL, st.integers(1, 100))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def test_percentiles_by_hand() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, percent) for percent in (1, 7, 50, 90, 99, 100)] == [1, 7, 50, 90, 99, 100]
    assert percentile([3, 1, 2], 50) == 2
    for values, percent in (([], 50), ([1.0], 0), ([1.0], 101)):
        with pytest.raises(ValueError):
            percentile(values, percent)


@given(SEVERAL)
def test_a_spread_is_ordered_and_in_milliseconds(seconds: list[float]) -> None:
    found = spread(seconds)
    assert found["p50"] <= found["p90"] <= found["p99"]
    assert math.isclose(found["p99"], 1e3 * percentile(seconds, 99), rel_tol=1e-3)
    assert math.isclose(found["mean"], 1e3 * sum(seconds) / len(seconds), rel_tol=1e-3)


@given(SEVERAL, st.floats(0.1, 10))
def test_a_ratio_does_not_see_noise_that_hits_all(values: list[float], factor: float) -> None:
    assert ratio(values, values) == 1
    slower = [value / factor for value in values]
    assert math.isclose(ratio(values, slower), factor, rel_tol=1e-3)


def test_a_ratio_is_taken_round_by_round() -> None:
    # The machine was busy in the second round: medians alone, 20 and 8, would say 2.5.
    assert ratio([20, 2, 30], [10, 1, 8]) == 2


@given(SPEEDS)
def test_a_figure_has_four_digits(value: float) -> None:
    assert math.isclose(rounded(value), value, rel_tol=5.1e-4)
    assert len(json.dumps(rounded(value)).split("e")[0].replace(".", "").strip("0")) <= 4


def test_all_rounds_are_kept() -> None:
    assert over_rounds([3.00004, 1, 2]) == {"median": 2, "rounds": [3, 1, 2]}


def test_growth_is_counted_from_when_all_is_made() -> None:
    found = growth([(100, 50.0), (400, 90.0), (500, 100.0), (700, 130.0), (1000, 112.5)], 500)
    assert (found["settled_after"], found["images"]) == (500, 1000)
    assert (found["growth_mb"], found["most_mb"]) == (12.5, 130)
    assert len(found["samples"]) == 5
