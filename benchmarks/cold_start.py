"""Timing of a new process from its start to the detections of one image: medrov and ultralytics.

::

    python benchmarks/cold_start.py examples/blood_smear.png
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from detection_script import (
    add_engine,
    add_length,
    images_of,
    option_parser,
    right_aligned,
    run_script,
    settings_from,
    with_range,
)
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel
from medrov_cli.core.benchmarking.rounds import interleave, over_rounds, ratio, rounded
from medrov_cli.core.benchmarking.run import benchmark_document
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from ultralytics_network import check_raster, save_checkpoint

# A process counts the memory of its parent until it executes another program. Therefore a small process
# starts the measured one, and measures its time, too.
_LAUNCHER = """
import json, os, subprocess, sys, time
quiet = subprocess.DEVNULL
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdin=quiet, stdout=quiet, stderr=subprocess.PIPE)
errors = child.stderr.read().decode(errors="replace")
_, status, used = os.wait4(child.pid, 0)
seconds = time.perf_counter() - started
code = os.waitstatus_to_exitcode(status)
run = {"seconds": seconds, "peak": used.ru_maxrss, "code": code, "stderr": errors[-500:]}
sys.stdout.write(json.dumps(run))
"""

_ULTRALYTICS = """
import json, sys
weights, image, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
from ultralytics import YOLOWorld
result, = YOLOWorld(weights).predict(image, verbose=False, save=False, **settings)
sys.stdout.write(json.dumps(result.boxes.data.tolist()))
"""


def time_cold_starts(
    config: BenchmarkSettings, model: BenchmarkModel, image: str, folder: Path
) -> dict[str, Any]:
    """Return the ``cold`` object of the document.

    An untimed first start of both loads files into the page cache, and stores the compiled model in medrov's
    cache.

    Parameters
    ----------
    config
        Engine, device, number of rounds.
    model
        Model with the vocabulary of the weights, so that both detect the same classes.
    image
        Image for both.
    folder
        Folder for ultralytics' checkpoint.

    Raises
    ------
    MedrovError
        ``USAGE`` if the system does not report the memory of a process; ``INTERNAL`` if a start fails.
    """
    if not hasattr(os, "wait4"):
        raise MedrovError(
            ErrorCode.USAGE, "this system does not report the resources of a process", "Use Linux or macOS."
        )
    check_raster([image])
    checkpoint = folder / "network.pt"
    save_checkpoint(model, checkpoint)
    commands = (_our_command(config, model, image), _their_command(config, model, image, checkpoint))
    for command in commands:
        launch(command)
    turns = interleave(
        [partial(launch, command) for command in commands],
        rounds=config.rounds_or_default,
        seconds=config.seconds,
    )
    ours, theirs = ([run["seconds"] for run in runs] for runs in turns)
    return {
        "medrov": _summary(turns[0]),
        "ultralytics": _summary(turns[1]),
        "wall_ratio": ratio(ours, theirs),
    }


def _our_command(config: BenchmarkSettings, model: BenchmarkModel, image: str) -> list[str]:
    variant = config.variants[0]
    command = [sys.executable, "-m", "medrov_cli", "detect", image, "--format", "jsonl"]
    command += ["--weights", str(model.path), "--imgsz", str(model.imgsz), "--device", config.runtime.device]
    return [*command, "--engine", variant.engine.value, "--precision", variant.precision.value]


def _their_command(
    config: BenchmarkSettings, model: BenchmarkModel, image: str, checkpoint: Path
) -> list[str]:
    device = None if config.runtime.device == "auto" else config.runtime.device
    settings = json.dumps({"imgsz": model.imgsz, "device": device})
    return [sys.executable, "-c", _ULTRALYTICS, str(checkpoint), image, settings]


def launch(command: Sequence[str]) -> dict[str, float]:
    """Run a command in a new process; return its ``seconds`` and its peak memory, ``peak_mb``.

    Raises
    ------
    MedrovError
        ``INTERNAL`` if it fails.
    """
    # Compiled modules are stored, as for a user. The arguments are this interpreter and files of this run.
    stores = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    launcher = [sys.executable, "-I", "-c", _LAUNCHER, *command]
    done = subprocess.run(launcher, capture_output=True, encoding="utf-8", check=True, env=stores)  # noqa: S603
    run: dict[str, Any] = json.loads(done.stdout)
    if run["code"]:
        last = (run["stderr"].strip().splitlines() or ["no message"])[-1]
        raise MedrovError(ErrorCode.INTERNAL, f"a cold start failed with code {run['code']}: {last}")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return {"seconds": run["seconds"], "peak_mb": run["peak"] / unit}


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return seconds and MiB of the runs of one program."""
    return {
        "seconds": over_rounds([run["seconds"] for run in runs]),
        "peak_rss_mb": rounded(statistics.median(run["peak_mb"] for run in runs)),
    }


def measure(options: argparse.Namespace, advance: Progress) -> dict[str, Any]:
    """Return the document with the section ``cold``."""
    config = settings_from(options)
    model = BenchmarkModel.from_settings(config)
    with images_of(config, advance, raster=True) as (paths, folder):
        advance(0, None, "cold starts")
        section = time_cold_starts(config, model, paths[0], folder)
    return benchmark_document(config, model, len(paths), {"cold": section})


def render(document: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield the table of a document."""
    section = document["cold"]
    table = right_aligned("cold start to detections of one image", "seconds", "peak MiB")
    for name in ("medrov", "ultralytics"):
        table.add_row(name, with_range(section[name]["seconds"]), f"{section[name]['peak_rss_mb']:.0f}")
    yield table
    yield f"wall time of medrov: {section['wall_ratio']:.2f} of ultralytics'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = option_parser(__doc__)
    add_engine(parser)
    add_length(parser)
    options = parser.parse_args(arguments)
    return run_script(partial(measure, options), render, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
