"""``benchmarks/cold_start.py``: new processes, their time and their memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cold_start
from benchmark_documents import measured, sections
from cold_start import launch
from medrov_cli.core.base.errors import ErrorCode, MedrovError


@pytest.mark.slow
def test_cold_starts(script: Any, weights: Path) -> None:
    options = ("--device", "cpu", "--engine", "onnx", "--rounds", 1)
    document = measured(script(cold_start, "-w", weights, *options, "--images", 1, "--json"))
    assert sections(document) == {"cold"}
    ours, theirs = document["cold"]["medrov"], document["cold"]["ultralytics"]
    ratio = ours["seconds"]["median"] / theirs["seconds"]["median"]
    assert document["cold"]["wall_ratio"] == pytest.approx(ratio, rel=2e-3)
    assert ours["peak_rss_mb"] < theirs["peak_rss_mb"]  # no torch in ours


def test_classes_are_refused(script: Any) -> None:
    """Both programs look for the vocabulary of the weights."""
    done = script(cold_start, "--classes", 3)
    assert done.exit_code == 2
    assert "--classes" in done.stderr


def test_memory_of_a_new_process_is_not_that_of_the_old_one() -> None:
    block = np.ones(200 * 1024**2, dtype=np.uint8)
    code = "block = bytearray(b'1') * (60 * 1024**2)"
    small, larger = (launch([sys.executable, "-c", own]) for own in ("pass", code))
    assert 50 < larger["peak_mb"] - small["peak_mb"] < 75
    assert larger["peak_mb"] < 150 < block.nbytes / 1024**2
    assert 0 < small["seconds"] < 60


def test_a_process_that_fails_is_an_error() -> None:
    with pytest.raises(MedrovError, match="code 1: ValueError: so it is") as caught:
        launch([sys.executable, "-c", "raise ValueError('so it is')"])
    assert caught.value.code is ErrorCode.INTERNAL
