"""Procedure of ``medrov benchmark``: interleaved timing of engines, and its document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2

from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel, open_model
from medrov_cli.core.benchmarking.images import collect_images
from medrov_cli.core.benchmarking.machine_description import describe_machine
from medrov_cli.core.benchmarking.meters import peak_cuda_mb, peak_resident_mb
from medrov_cli.core.benchmarking.rounds import rounded
from medrov_cli.core.benchmarking.throughput import TimedModel, time_models
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from medrov_cli.core.weights import container

SCHEMA = "medrov.benchmark/1"
SECTIONS = ("runs", "against", "cold", "text", "scaling", "memory")
"""Keys of the document; ``medrov benchmark`` writes the first and the last, scripts the others."""


def run_benchmark(
    config: BenchmarkSettings, advance: Progress = no_progress, *, stdin: Iterable[str] | None = None
) -> dict[str, Any]:
    """Measure the requested figures; return the document of schema ``medrov.benchmark/1``.

    Sections that were not requested, and values that the machine does not report, are null.

    Parameters
    ----------
    config
        All settings.
    advance
        Called with the stage, the number of its completed steps, and their total, if known.
    stdin
        Lines of standard input, for an input ``-``.

    Raises
    ------
    MedrovError
        ``USAGE``, an input error for a file that cannot be read, or a code of weights and engines.
    """
    config.check()
    model = BenchmarkModel.from_settings(config)
    with scratch_folder() as scratch:
        folder = scratch / "images"
        paths = collect_images(
            config.inputs, folder, config.images, raster=False, advance=advance, stdin=stdin
        )
        sections = _sections(config, model, paths, advance)
    return benchmark_document(config, model, len(paths), sections)


def benchmark_document(
    config: BenchmarkSettings, model: BenchmarkModel, files: int, sections: dict[str, Any]
) -> dict[str, Any]:
    """Return the document of schema ``medrov.benchmark/1``.

    Parameters
    ----------
    config, model
        Settings, and timed weights.
    files
        Number of image files.
    sections
        Values of some of ``SECTIONS``; the others are null.
    """
    return {
        "schema": SCHEMA,
        "machine": describe_machine(),
        "weights": {"name": model.metadata.name, "sha256": container.sha256_of(model.path)},
        "settings": config.settings(model.imgsz, len(model.classes.names), files),
        **dict.fromkeys(SECTIONS),
        **sections,
        "peak_memory_mb": {"resident": _figure(peak_resident_mb()), "cuda": _figure(peak_cuda_mb())},
    }


def _sections(
    config: BenchmarkSettings, model: BenchmarkModel, paths: Sequence[str], advance: Progress
) -> dict[str, Any]:
    """Return the requested sections."""
    found: dict[str, Any] = {}
    if config.times_engines:
        models = open_timed_models(config, model, paths, advance)
        advance(0, None, "rounds")
        found["runs"], _ = time_models(models, rounds=config.rounds_or_default, seconds=config.seconds)
    if config.memory is not None:
        from medrov_cli.core.benchmarking.memory import watch_memory

        advance(0, None, "memory")
        session = open_model(
            model, config.variants[0], device=config.runtime.device, many=True, batch=config.runtime.batch
        )
        found["memory"] = watch_memory(session, paths, config.memory)
    return found


def open_timed_models(
    config: BenchmarkSettings, model: BenchmarkModel, paths: Sequence[str], advance: Progress
) -> list[TimedModel]:
    """Open the model in every timed engine."""
    threads = cv2.getNumThreads()  # the import of ultralytics, which torch weights need, sets them to 0
    models = []
    for done, variant in enumerate(config.variants, start=1):
        models.append(
            TimedModel.open(
                model,
                variant,
                device=config.runtime.device,
                batch=config.runtime.batch,
                paths=paths,
                images=config.images,
            )
        )
        advance(done, len(config.variants), "open engines")
    cv2.setNumThreads(threads)
    return models


def _figure(value: float | None) -> float | None:
    return None if value is None else rounded(value)
