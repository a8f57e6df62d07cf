"""Our end-to-end speed beside ultralytics' predictor, in the same rounds, on the same files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medrov_cli.core.base.progress import Progress
from medrov_cli.core.benchmarking.images import of_length
from medrov_cli.core.benchmarking.rival import Rival, RivalSettings, check_raster, write_listing
from medrov_cli.core.benchmarking.rounds import over_rounds, ratio, rounded
from medrov_cli.core.benchmarking.subject import Model
from medrov_cli.core.benchmarking.throughput import Contestant, time_contestants
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings

CONF = 0.25
"""Lowest score, of both, uncalibrated (ultralytics' default)."""

TRIAL_IMAGES = 32
"""Images of a trial of the rival's settings, after a pass over as many that warms up."""

CHECKED = 2
"""Images on which the outputs of both networks are compared."""


def time_against_rival(
    config: BenchmarkSettings,
    contestants: Sequence[Contestant],
    model: Model,
    folder: Path,
    *,
    rounds: int | None,
    advance: Progress,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of our engines, and the ``against`` object of the document.

    The rival first shows that its network gives what ours gives, then tries its settings; the fastest of
    them takes turns with ours.

    Parameters
    ----------
    config, rounds
        How long.
    contestants
        Ours, opened with ``CONF`` as their threshold.
    model
        What they were opened with.
    folder
        For lists of files.
    advance
        Told how many settings are tried.
    """
    paths = contestants[0].paths
    check_raster(paths)
    rival = Rival(model, contestants[0].device, CONF)
    equality = _require_equal(rival, contestants[0], model)
    trials = _try_settings(rival, paths, folder, min(config.images, TRIAL_IMAGES), advance)
    best = max(trials, key=lambda trial: trial[1])[0]
    files = write_listing(folder / "all.txt", [item.path for item in of_length(paths, config.images)])
    rows, (theirs,) = time_contestants(
        contestants,
        rounds=rounds,
        seconds=config.seconds,
        others=[partial(rival.images_per_s, best, files)],
    )
    document = {
        "rival": "ultralytics",
        "version": version("ultralytics"),
        "largest_difference": equality,
        "trials": [{**settings.as_dict(), "images_per_s": rounded(speed)} for settings, speed in trials],
        "settings": best.as_dict(),
        "end_to_end_images_per_s": over_rounds(theirs),
        "ratios": [
            {"name": row["name"], "ratio": ratio(row["end_to_end_images_per_s"]["rounds"], theirs)}
            for row in rows
        ],
    }
    return rows, document


def _require_equal(rival: Rival, contestant: Contestant, model: Model) -> dict[str, float]:
    """Compare the networks in fp32 on the CPU: number formats and devices add differences of their own."""
    runtime = RuntimeSettings(device="cpu", engine=EngineName.TORCH)
    weights = WeightsFile(model.path, model.metadata)
    engine = weights.open(model.classes.embeddings, runtime, imgsz=model.imgsz, streams=1)
    return rival.require_equal(engine, contestant.squares[:CHECKED])


def _try_settings(
    rival: Rival, paths: Sequence[str], folder: Path, images: int, advance: Progress
) -> list[tuple[RivalSettings, float]]:
    """Return what each of its settings reaches: its own figure of a second pass over some files."""
    listing = write_listing(folder / "trial.txt", [item.path for item in of_length(paths, images)])
    settings = rival.candidates()
    trials = []
    for done, own in enumerate(settings, start=1):
        rival.images_per_s(own, listing)
        trials.append((own, rival.images_per_s(own, listing)))
        advance(done, len(settings), "try settings of ultralytics")
    return trials
