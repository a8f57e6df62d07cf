"""Cost of ``--on ray``: time and memory of the driver, and the rate of two workers beside one process.

::

    python benchmarks/cluster.py overhead --inputs 100000
    python benchmarks/cluster.py efficiency FOLDER
    python benchmarks/cluster.py listing --inputs 10000000

``overhead`` runs stand-in workers, which return a record at once, with all that the driver does: blocks,
order, journal. It subtracts the time in which one process writes the same records. ``efficiency`` runs the
command ``detect`` on a folder in one process with two streams, and on two workers with one core each.
``listing`` reads a list of names, cuts it into blocks, and writes a record of each by a stand-in in this
process: it measures time and memory of the driver.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from medrov_cli.core.detection.cluster_search import ClusterSearch, InputBlock, WorkerSettings
from medrov_cli.core.detection.detect_run import DetectRun
from medrov_cli.core.detection.open_detector import OpenedModel
from medrov_cli.core.pixels.inputs import Input, find_inputs
from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.settings.cluster_groups import ClusterPlace, ClusterSettings
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.io_groups import OutputSettings
from medrov_cli.core.writers.sink import OutputFolder

WORKERS = 2
IDENTITY = ModelIdentity("stand-in", "0" * 64, "0" * 64, "none", "openvino-cpu", 32, "raw")
MODEL = OpenedModel(("polyp",), (("polyp",),), {}, 1, IDENTITY)


class StandInWorker:
    """A worker that reads and computes nothing."""

    def __init__(self, settings: WorkerSettings) -> None:
        del settings

    def describe(self) -> dict[str, Any]:
        """Return the facts that are equal in all workers."""
        return {"model": MODEL}

    def run(self, block: InputBlock) -> list[tuple[dict[str, Any], dict[str, bytes]]]:
        """Return a record without detections for each input."""
        return [(record_of(item.path), {}) for item in block.inputs]


def record_of(path: str) -> dict[str, Any]:
    """Return the record of a stand-in."""
    unknown = ("modality", "modality_source", "image_kind", "image_kind_probability", "window")
    more = ("pixel_spacing_mm", "study_uid", "series_uid", "instance_uid", "elapsed_ms")
    return {
        "schema": "medrov.detect/1",
        "path": path,
        "frame": 0,
        "frame_count": 1,
        "width": 64,
        "height": 64,
        **dict.fromkeys((*unknown, *more)),
        "detections": [],
        "model": IDENTITY.as_dict(),
        "warnings": [],
    }


def measure_overhead(count: int) -> dict[str, Any]:
    """Return the milliseconds per image that the cluster adds to writing the records."""
    inputs = [Input(f"{number // 10_000:04d}/{number % 10_000:04d}.png") for number in range(count)]
    with tempfile.TemporaryDirectory() as name:
        config = DetectSettings(
            inputs=("stand-ins",),
            output=OutputSettings(folder=Path(name) / "many"),
            cluster=ClusterSettings(on=ClusterPlace(), workers=WORKERS),
        )
        started = time.perf_counter()
        alone = OutputFolder(Path(name) / "one", (), MODEL.names)
        alone.claim({}, resume=False, overwrite=False)
        alone.open(lambda _: 0)
        for item in inputs:
            alone.write(record_of(item.path), None)
        alone.finish({})
        writing_s = time.perf_counter() - started
        module = Path(__file__).stem
        with ClusterSearch(config, (), f"{module}:{StandInWorker.__name__}") as search:
            before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            started = time.perf_counter()
            with closing(DetectRun(config, MODEL, search, inputs, inputs, (), None, None)) as run:
                run.execute()
            seconds = time.perf_counter() - started
            after_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        same = (Path(name) / "one" / "detections.jsonl").read_bytes()
        if (Path(name) / "many" / "detections.jsonl").read_bytes() != same:
            raise ValueError("the records of the cluster differ from those of one process")
    return {
        "inputs": count,
        "workers": WORKERS,
        "writing_ms_per_image": round(1000 * writing_s / count, 4),
        "cluster_ms_per_image": round(1000 * seconds / count, 4),
        "overhead_ms_per_image": round(1000 * (seconds - writing_s) / count, 4),
        "driver_growth_mib": round((after_kib - before_kib) / 1024, 1),
    }


def measure_efficiency(folder: Path, rounds: int) -> dict[str, Any]:
    """Return the images per second of one process with two streams, and of two workers.

    Each is the difference between two commands, on all images and on a quarter of them, so that starts of
    programs, models and workers do not count.
    """
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    lists = [paths, paths[::4]]
    ways = {"one process": (), "workers": ("--on", "ray", "--workers", str(WORKERS))}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    command_detect(lists[1][:1], ())  # the compiled model is on the disk afterwards
    for _ in range(rounds):
        for name, options in ways.items():
            whole_s, part_s = (command_detect(own, options) for own in lists)
            rates[name].append((len(lists[0]) - len(lists[1])) / max(whole_s - part_s, 1e-9))
    return {
        "images": [len(own) for own in lists],
        "images_per_second": {name: [round(rate, 1) for rate in own] for name, own in rates.items()},
        "efficiency": [round(b / a, 3) for a, b in zip(*rates.values(), strict=True)],
    }


def command_detect(paths: Sequence[str], options: Sequence[str]) -> float:
    """Return the seconds of ``medrov detect`` on files that are named on standard input."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "medrov_cli", "detect", "-", "--output", f"{name}/out", *options]
        started = time.perf_counter()
        listed = "\n".join(paths)
        done = subprocess.run(command, input=listed, text=True, capture_output=True, check=False)  # noqa: S603 - own
        seconds = time.perf_counter() - started
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr)
    return seconds


class StandInPool:
    """Workers that return the records of a block when it is wanted, in this process."""

    workers = alive = WORKERS

    def run(self, blocks: Iterator[InputBlock]) -> Iterator[tuple[InputBlock, Any]]:
        """Yield each block with its records."""
        for block in blocks:
            yield block, StandInWorker.run(StandInWorker.__new__(StandInWorker), block)

    def close(self) -> None:
        """End nothing."""


def measure_listing(count: int) -> dict[str, Any]:
    """Return time and growth of memory of listing, of the search in blocks, and of the files of a run."""
    with tempfile.TemporaryDirectory() as name:
        names = Path(name) / "names.txt"
        with names.open("w", encoding="ascii") as stream:
            stream.writelines(f"archive/{n // 10_000:05d}/film-{n % 10_000:05d}.png\n" for n in range(count))
        config = DetectSettings(
            inputs=("-",),
            output=OutputSettings(folder=Path(name) / "many"),
            cluster=ClusterSettings(on=ClusterPlace(), workers=WORKERS),
        )
        search = ClusterSearch.__new__(ClusterSearch)
        search._pool, search._step = StandInPool(), 1  # type: ignore[assignment]  # noqa: SLF001 - without Ray
        sizes_mib, times = [peak_mib()], [time.perf_counter()]
        with names.open(encoding="utf-8") as stdin:
            inputs = find_inputs(("-",), stdin=stdin).inputs
        sizes_mib.append(peak_mib())
        times.append(time.perf_counter())
        with closing(DetectRun(config, MODEL, search, inputs, inputs, (), None, None)) as run:
            summary = run.execute()
        sizes_mib.append(peak_mib())
        times.append(time.perf_counter())
        if summary.images != count:
            raise ValueError(f"{summary.images} records of {count} names")
    return {
        "inputs": count,
        "start_mib": sizes_mib[0],
        "listing_growth_mib": round(sizes_mib[1] - sizes_mib[0], 1),
        "run_growth_mib": round(sizes_mib[2] - sizes_mib[1], 1),
        "listing_s": round(times[1] - times[0], 1),
        "run_s": round(times[2] - times[1], 1),
    }


def peak_mib() -> float:
    """Return the largest memory of this process so far, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    overhead = commands.add_parser("overhead", help="time of the driver per image, with stand-in workers")
    overhead.add_argument("--inputs", type=int, default=100_000)
    efficiency = commands.add_parser("efficiency", help="two workers beside one process with two streams")
    efficiency.add_argument("folder", type=Path)
    efficiency.add_argument("--rounds", type=int, default=3)
    listing = commands.add_parser("listing", help="time and memory of long lists, with a stand-in engine")
    listing.add_argument("--inputs", type=int, default=10_000_000)
    given = parser.parse_args(arguments)
    if given.command == "overhead":
        document = measure_overhead(given.inputs)
    elif given.command == "listing":
        document = measure_listing(given.inputs)
    else:
        document = measure_efficiency(given.folder, given.rounds)
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
