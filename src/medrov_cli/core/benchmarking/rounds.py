"""Interleaved runs, and statistics of timings: pure functions."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")

DIGITS = 4
"""Significant digits of every figure."""


def interleave(
    actions: Sequence[Callable[[], Result]],
    *,
    rounds: int | None = None,
    seconds: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[Result]]:
    """Run actions in turn, A B A B, so that load of the machine affects all equally; return their results.

    Parameters
    ----------
    actions
        Functions that are run.
    rounds, seconds
        Number of rounds, or time after which no further round is started; exactly one is given.
    clock
        Function that returns the time in seconds.
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
    # Multiplication first: 0.07 * 100 is slightly more than 7, which would give one rank too high.
    rank = math.ceil(percent * len(values) / 100)
    return sorted(values)[rank - 1]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return mean and percentiles, in milliseconds, of times in seconds."""
    milliseconds = [1e3 * value for value in seconds]
    found = {"mean": statistics.fmean(milliseconds)}
    found |= {f"p{percent}": percentile(milliseconds, percent) for percent in (50, 90, 99)}
    return {name: rounded(value) for name, value in found.items()}


def over_rounds(values: Sequence[float]) -> dict[str, Any]:
    """Return the median of the rounds, and the value of each round."""
    return {"median": rounded(statistics.median(values)), "rounds": [rounded(value) for value in values]}


def ratio(values: Sequence[float], first: Sequence[float]) -> float:
    """Return the median of the ratios of the rounds, since load affects both figures of a round."""
    return rounded(statistics.median(own / other for own, other in zip(values, first, strict=True)))


def rounded(value: float) -> float:
    """Return a number rounded to the significant digits."""
    return float(f"{value:.{DIGITS}g}")
