"""Taking turns, and what a number of timings says: pure functions."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")

DIGITS = 4
"""Significant digits of every figure: more would be noise."""


def interleave(
    actions: Sequence[Callable[[], Result]],
    *,
    rounds: int | None = None,
    seconds: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[Result]]:
    """Run actions in turn, A B A B, so that a noisy machine hits all alike; return the results of each.

    Parameters
    ----------
    actions
        What to run.
    rounds, seconds
        So many rounds, or whole rounds until this time is over: one of the two.
    clock
        Tells the time, in seconds.
    """
    results: list[list[Result]] = [[] for _ in actions]
    started, done = clock(), 0
    while (done < rounds) if rounds is not None else (not done or clock() - started < (seconds or 0)):
        for own, action in zip(results, actions, strict=True):
            own.append(action())
        done += 1
    return results


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that at least ``percent`` % of them do not exceed (nearest rank)."""
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values, and a percent above 0 up to 100")
    # Times the number first: 0.07 * 100 is a little more than 7, and would be one rank too high.
    rank = math.ceil(percent * len(values) / 100)
    return sorted(values)[rank - 1]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return mean and percentiles of times in seconds, in milliseconds."""
    milliseconds = [1e3 * value for value in seconds]
    found = {"mean": statistics.fmean(milliseconds)}
    found |= {f"p{percent}": percentile(milliseconds, percent) for percent in (50, 90, 99)}
    return {name: rounded(value) for name, value in found.items()}


def over_rounds(values: Sequence[float]) -> dict[str, Any]:
    """Return the median of the rounds, and each of them."""
    return {"median": rounded(statistics.median(values)), "rounds": [rounded(value) for value in values]}


def ratio(values: Sequence[float], first: Sequence[float]) -> float:
    """Return the median of the ratios round by round: what hits a whole round hits both of its figures."""
    return rounded(statistics.median(own / other for own, other in zip(values, first, strict=True)))


def rounded(value: float) -> float:
    """Return a number with so many significant digits as mean anything."""
    return float(f"{value:.{DIGITS}g}")
