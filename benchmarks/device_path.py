"""Time of torch's engine with the selection of a GPU on its device, and with the selection on the host.

    python benchmarks/device_path.py IMAGES --imgsz 320

Both run on the CPU device, on the same network, images and thresholds, in turn. The one is the path of
``detect``: thresholds, candidates and suppression are operations of torch (``Engine.select``). The other is
the path before it: scores of all classes and anchors (``Engine.infer``), with thresholds and suppression in
numpy. Both include everything from a stack of model inputs to detections. The script prints images per
second, medians over the rounds, and the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line, before the import of numpy

import numpy as np

from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.prepared import PreparedImage
from medrov_cli.core.records.detections import AnyCandidates
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings

_Network = Callable[[UInt8Array], Sequence[AnyCandidates]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="Folder of images.")
    parser.add_argument("--weights", default="medrov-n")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    runtime = RuntimeSettings("cpu", EngineName.TORCH, imgsz=options.imgsz)
    with Predictor.open(options.weights, runtime=runtime) as predictor:
        groups = batches(predictor, options)
        paths: list[_Network] = [predictor.infer, predictor.infer_all_classes]
        counts = [detections(predictor, network, groups) for network in paths]
        if counts[0] != counts[1]:
            raise SystemExit(f"the paths differ: {counts[0]} and {counts[1]} detections")
        seconds = [[timed(predictor, network, groups) for network in paths] for _ in range(options.rounds)]
    images = sum(len(group) for group in groups)
    device, host = (images / statistics.median(times) for times in zip(*seconds, strict=True))
    ratio = statistics.median(before / after for after, before in seconds)
    print(f"{options.imgsz} px, batch {options.batch}, {images} images, {counts[0]} detections")
    print(
        f"selection on the device {device:.1f} images/s, on the host {host:.1f}: {ratio:.3f} times its speed"
    )


def batches(predictor: Predictor, options: argparse.Namespace) -> list[list[PreparedImage]]:
    """Return the first images of the folder as groups of model inputs."""
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file())[: options.images]
    images = [predictor.prepare(frame) for path in paths for frame in read_frames(str(path))]
    return [images[start : start + options.batch] for start in range(0, len(images), options.batch)]


def detections(predictor: Predictor, network: _Network, groups: list[list[PreparedImage]]) -> int:
    """Return the number of detections of a run."""
    count = 0
    for group in groups:
        found = network(np.stack([image.input_rgb for image in group]))
        for image, candidates in zip(group, found, strict=True):
            count += len(predictor.finish(image, candidates).scores)
    return count


def timed(predictor: Predictor, network: _Network, groups: list[list[PreparedImage]]) -> float:
    """Return the seconds of a run."""
    started = time.perf_counter()
    detections(predictor, network, groups)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
