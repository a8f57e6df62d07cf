"""Benchmark: open what is asked for, let it take turns, and put the figures into one document."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.benchmarking.images import gather
from medrov_cli.core.benchmarking.machine import describe_machine
from medrov_cli.core.benchmarking.meters import peak_cuda_mb, peak_resident_mb
from medrov_cli.core.benchmarking.rounds import rounded
from medrov_cli.core.benchmarking.subject import Model, open_subject
from medrov_cli.core.benchmarking.throughput import Contestant, time_contestants
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.settings.benchmark import ROUNDS, BenchmarkSettings
from medrov_cli.core.weights import container

SCHEMA = "medrov.benchmark/1"


def run_benchmark(
    config: BenchmarkSettings, advance: Progress = no_progress, *, stdin: Iterable[str] | None = None
) -> dict[str, Any]:
    """Take all figures that are asked for; return the document of schema ``medrov.benchmark/1``.

    Sections that were not asked for are null, and so is what the machine does not tell.

    Parameters
    ----------
    config
        All settings.
    advance
        Told what is being done, how many steps of it are done, and their total if known.
    stdin
        Lines of standard input, for an input ``-``.

    Raises
    ------
    MedrovError
        ``USAGE``, an input error for a file that cannot be read, or a code of weights and engines;
        ``INTERNAL`` if ultralytics' network does not give what ours gives.
    """
    config.check()
    model = Model.of(config)
    with tempfile.TemporaryDirectory(prefix="medrov-benchmark-") as name:
        folder = Path(name)
        paths: list[str] = []
        if config.needs_images:
            raster = config.against is not None or config.cold
            paths = gather(
                config.inputs, folder / "images", config.images, raster=raster, advance=advance, stdin=stdin
            )
        sections = _sections(config, model, paths, folder, advance)
    return {
        "schema": SCHEMA,
        "machine": describe_machine(),
        "weights": {"name": model.metadata.name, "sha256": container.sha256_of(model.path)},
        "settings": config.settings(model.imgsz, len(model.classes.names), len(paths)),
        **sections,
        "peak_memory_mb": {"resident": _figure(peak_resident_mb()), "cuda": _figure(peak_cuda_mb())},
    }


def _sections(
    config: BenchmarkSettings, model: Model, paths: Sequence[str], folder: Path, advance: Progress
) -> dict[str, Any]:
    """Return the sections of the document, each null where it was not asked for."""
    rounds = None if config.seconds is not None else config.rounds or ROUNDS
    found: dict[str, Any] = dict.fromkeys(("runs", "against", "cold", "text", "scaling", "memory"))
    if config.cold:  # first: as long as this process is small, it is in nobody's way
        from medrov_cli.core.benchmarking.cold import time_cold_starts

        advance(0, None, "cold starts")
        known = replace(model, classes=ClassList.from_weights(model.path, model.metadata))
        found["cold"] = time_cold_starts(config, known, paths[0], folder, rounds=rounds)
    if config.text:
        from medrov_cli.core.benchmarking.text_timing import CLASSES, time_text

        advance(0, None, "text encoder")
        found["text"] = time_text(model.path, config.classes or CLASSES, rounds or ROUNDS)
    if config.times_engines:
        found["runs"], found["against"] = _time_engines(config, model, paths, folder, rounds, advance)
    if config.scaling is not None:
        from medrov_cli.core.benchmarking.scaling import measure_scaling

        found["scaling"] = measure_scaling(
            config, model, paths, config.scaling, rounds=rounds, advance=advance
        )
    if config.memory is not None:
        from medrov_cli.core.benchmarking.memory import watch_memory

        advance(0, None, "memory")
        session = open_subject(
            model, config.variants[0], device=config.runtime.device, many=True, batch=config.runtime.batch
        )
        found["memory"] = watch_memory(session, paths, config.memory)
    return found


def _time_engines(
    config: BenchmarkSettings,
    model: Model,
    paths: Sequence[str],
    folder: Path,
    rounds: int | None,
    advance: Progress,
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the rows of the engines, and what the rival reached, if there is one."""
    threads = cv2.getNumThreads()  # importing ultralytics, as torch needs it, sets them to 0
    if config.against is not None:
        from medrov_cli.core.benchmarking.against import CONF

        model = replace(model, conf=CONF, raw_scores=True)
    contestants = []
    for done, variant in enumerate(config.variants, start=1):
        contestants.append(
            Contestant.open(
                model,
                variant,
                device=config.runtime.device,
                batch=config.runtime.batch,
                paths=paths,
                images=config.images,
            )
        )
        advance(done, len(config.variants), "open engines")
    if config.against is not None:
        from medrov_cli.core.benchmarking.against import time_against_rival

        cv2.setNumThreads(threads)
        return time_against_rival(config, contestants, model, folder, rounds=rounds, advance=advance)
    cv2.setNumThreads(threads)
    advance(0, None, "rounds")
    return time_contestants(contestants, rounds=rounds, seconds=config.seconds)[0], None


def _figure(value: float | None) -> float | None:
    return None if value is None else rounded(value)
