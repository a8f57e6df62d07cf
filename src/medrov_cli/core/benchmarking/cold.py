"""From nothing to the boxes of one image: a new process, ours and ultralytics'."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.benchmarking.rounds import over_rounds, ratio, rounded, take_turns
from medrov_cli.core.benchmarking.subject import Model
from medrov_cli.core.settings.benchmark import ROUNDS, BenchmarkSettings

# A process counts the memory of the one that started it until it becomes another program. Between us and
# what is measured there is therefore a small one, which also tells the time.
_LAUNCHER = """
import json, os, subprocess, sys, time
quiet = subprocess.DEVNULL
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdin=quiet, stdout=quiet, stderr=subprocess.PIPE)
told = child.stderr.read().decode(errors="replace")
_, status, used = os.wait4(child.pid, 0)
seconds = time.perf_counter() - started
code = os.waitstatus_to_exitcode(status)
run = {"seconds": seconds, "peak": used.ru_maxrss, "code": code, "stderr": told[-500:]}
sys.stdout.write(json.dumps(run))
"""

_RIVAL = """
import json, sys
weights, image, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
from ultralytics import YOLOWorld
result, = YOLOWorld(weights).predict(image, verbose=False, save=False, **settings)
sys.stdout.write(json.dumps(result.boxes.data.tolist()))
"""


def time_cold_starts(
    config: BenchmarkSettings, model: Model, image: str, folder: Path, *, rounds: int | None
) -> dict[str, Any]:
    """Return the ``cold`` object of the document.

    Files are in the page cache and the compiled model in ours: a first start of both, untimed, sees to it.

    Parameters
    ----------
    config
        Engine, device, number of rounds.
    model
        With the vocabulary of the weights: both look for the same classes.
    image
        What both search.
    folder
        For ultralytics' checkpoint.

    Raises
    ------
    MedrovError
        ``USAGE`` where the system does not tell a process's memory; ``INTERNAL`` if one of them fails.
    """
    if not hasattr(os, "wait4"):
        raise usage_error("--cold: this system does not tell what a process used", "Use Linux or macOS.")
    from medrov_cli.core.benchmarking.rival import check_raster
    from medrov_cli.core.benchmarking.transplant import save_checkpoint

    check_raster([image])
    checkpoint = folder / "network.pt"
    save_checkpoint(model, checkpoint)
    commands = (_our_command(config, model, image), _their_command(config, model, image, checkpoint))
    for command in commands:
        launch(command)
    turns = take_turns(
        [partial(launch, command) for command in commands],
        rounds=rounds or (None if config.seconds else ROUNDS),
        seconds=config.seconds,
    )
    ours, theirs = ([run["seconds"] for run in runs] for runs in turns)
    return {
        "medrov": _summary(turns[0]),
        "ultralytics": _summary(turns[1]),
        "wall_ratio": ratio(ours, theirs),
    }


def _our_command(config: BenchmarkSettings, model: Model, image: str) -> list[str]:
    variant = config.variants[0]
    command = [sys.executable, "-m", "medrov_cli", "detect", image, "--format", "jsonl"]
    command += ["--weights", str(model.path), "--imgsz", str(model.imgsz), "--device", config.runtime.device]
    return [*command, "--engine", variant.engine.value, "--precision", variant.precision.value]


def _their_command(config: BenchmarkSettings, model: Model, image: str, checkpoint: Path) -> list[str]:
    device = None if config.runtime.device == "auto" else config.runtime.device
    settings = json.dumps({"imgsz": model.imgsz, "device": device})
    return [sys.executable, "-c", _RIVAL, str(checkpoint), image, settings]


def launch(command: Sequence[str]) -> dict[str, float]:
    """Run a command in a new process; return its ``seconds``, and the most memory that it held, ``peak_mb``.

    Raises
    ------
    MedrovError
        ``INTERNAL`` if it fails.
    """
    # Its arguments are our own interpreter and files of this run.
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-c", _LAUNCHER, *command], capture_output=True, encoding="utf-8", check=True
    )
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
