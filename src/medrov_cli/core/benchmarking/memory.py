"""Measurement of the growth of memory with the number of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.benchmarking.meters import resident_mb
from medrov_cli.core.benchmarking.rounds import rounded
from medrov_cli.core.benchmarking.throughput import run_end_to_end
from medrov_cli.core.prediction.predictor import Predictor

SETTLED_AFTER = 500
"""Number of images after which the growth is measured, without allocations at the start."""

SAMPLES = 50


def watch_memory(predictor: Predictor, paths: Sequence[str], images: int) -> dict[str, Any]:
    """Process a number of images in one run, and return the ``memory`` object of the document.

    The growth is measured from image 500 (in a shorter run from its middle) to the end.

    Raises
    ------
    MedrovError
        ``USAGE`` if the system does not report the memory of a process.
    """
    if resident_mb() is None:
        raise usage_error("--memory: this system does not report the memory of a process", "Install psutil.")
    settled = min(SETTLED_AFTER, images // 2)
    step = max(1, images // SAMPLES)
    samples: list[tuple[int, float]] = []
    done = 0

    def add_sample() -> None:
        nonlocal done
        done += 1
        if done in (settled, images) or done % step == 0:
            samples.append((done, resident_mb() or 0.0))

    run_end_to_end(predictor, paths, images, add_sample)
    return growth(samples, settled)


def growth(samples: Sequence[tuple[int, float]], settled: int) -> dict[str, Any]:
    """Return the growth of memory from samples, (images, MiB), after a number of images."""
    later = [(images, held) for images, held in samples if images >= settled]
    first, last = later[0][1], later[-1][1]
    return {
        "images": later[-1][0],
        "settled_after": later[0][0],
        "growth_mb": round(last - first, 2),
        "most_mb": rounded(max(held for _, held in samples)),
        "samples": [[images, round(held, 2)] for images, held in samples],
    }
