"""Overhead of medrov's OpenVINO engine relative to OpenVINO: the same graph and images, in turn.

    python benchmarks/engine_overhead.py --imgsz 320 --precision bf16

The bare engine runs the compiled graph in an ``AsyncInferQueue`` with one request per stream, as OpenVINO's
``benchmark_app`` does, without reading its outputs. The other is ``Engine.infer`` at the threshold of
``detect``, which returns boxes and scores. The script prints the images per second of both, medians over the
rounds, and the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line, before the import of numpy

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.processor import multiplies_in_int8
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.model.loading import load_folded, load_graph, load_quantised_graph
from medrov_cli.core.phantoms.kinds import KINDS, phantom_seed
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.number_formats import read_formats

FLOOR = 0.05
"""Near the lowest threshold of medrov-n's classes."""


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="medrov-n")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--precision", choices=["fp32", "bf16", "int8"], default="fp32")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    path = resolution.resolve(options.weights)
    images = pictures(options.images, options.imgsz)
    runs = [bare(path, images, options), ours(path, images, options)]
    for run in runs:
        run()
    seconds = [[timed(run) for run in runs] for _ in range(options.rounds)]
    rates = [options.images / statistics.median(times) for times in zip(*seconds, strict=True)]
    ratio = statistics.median(alone / with_ours for alone, with_ours in seconds)
    print(f"{options.imgsz} px, {options.precision}: bare {rates[0]:.1f} images/s, ours {rates[1]:.1f}")
    print(f"ours / bare: {ratio:.2f}")


def pictures(count: int, imgsz: int) -> UInt8Array:
    """Return phantoms of nine modalities, letterboxed, uint8, (count, imgsz, imgsz, 3)."""
    drawn = [kind.draw(phantom_seed(0, 0)).pixels for kind in KINDS]
    squares = [Letterbox.fit(pixels.shape[:2], imgsz).apply(pixels) for pixels in drawn]
    return np.stack([squares[row % len(squares)] for row in range(count)])


def bare(path: Path, images: UInt8Array, options: argparse.Namespace) -> Callable[[], None]:
    """Return a function that runs OpenVINO alone."""
    openvino = load_openvino()
    core = openvino.Core()
    streams = usable_cores()
    compiled = core.compile_model(
        core.read_model(graph_of(path, options)),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bf16" else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": usable_cores(),
        },
    )
    text = load_folded(path, container.load_embeddings(path)).inputs()
    queue = openvino.AsyncInferQueue(compiled, streams)

    def run() -> None:
        for row in range(len(images)):
            queue.start_async({"images": images[row : row + 1], **text}, share_inputs=True)
        queue.wait_all()

    return run


def graph_of(path: Path, options: argparse.Namespace) -> bytes:
    """Return the graph of the engine."""
    formats = read_formats(path) if options.precision == "int8" else None
    size = (options.imgsz, options.imgsz)
    if formats is None:
        return load_graph(path, size)
    return load_quantised_graph(path, size, formats.ranges, 8 if multiplies_in_int8() else 7)


def ours(path: Path, images: UInt8Array, options: argparse.Namespace) -> Callable[[], None]:
    """Return a function that runs medrov's engine."""
    runtime = RuntimeSettings("cpu", EngineName.OPENVINO, Precision(options.precision))
    engine = WeightsFile.read(path).open(
        container.load_embeddings(path), runtime, imgsz=options.imgsz, streams=usable_cores()
    )

    def run() -> None:
        engine.infer(images, FLOOR)

    return run


def timed(run: Callable[[], None]) -> float:
    """Return the seconds of a run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
