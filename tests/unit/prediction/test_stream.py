"""The pipeline of a predictor: time of batches that are computed at the same time."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from medrov_cli.core.prediction import stream


def test_time_that_two_batches_share_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 14.0, 15.0, 30.0])
    monkeypatch.setattr(stream, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    clock = stream.BatchClock()
    assert clock.seconds(0.0) == 10  # alone
    assert clock.seconds(8.0) == 4  # begins before the end of the first
    assert clock.seconds(9.0) == 1  # begins before the end of both
    assert clock.seconds(28.0) == 2  # after a pause


def test_a_batch_alone_is_timed_from_its_start() -> None:
    started = time.perf_counter() - 1
    assert 1 <= stream.BatchClock().seconds(started) < 2
