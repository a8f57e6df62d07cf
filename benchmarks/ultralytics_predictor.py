"""Timing of ``detect`` and of ultralytics' predictor of YOLO-World with the same weights, in turn.

::

    python benchmarks/ultralytics_predictor.py images/ --imgsz 640 --compare openvino,openvino-bf16

Both networks must give equal scores and boxes before the timing. The predictor is timed with its best
settings.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import islice, product
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line, before the import of numpy

import cv2
import numpy as np
import torch
from rich.console import RenderableType

from detection_script import (
    add_classes,
    add_engine,
    add_length,
    images_of,
    option_parser,
    right_aligned,
    run_script,
    settings_from,
    with_range,
)
from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.benchmarking.benchmark_model import IOU, MAX_DET, BenchmarkModel
from medrov_cli.core.benchmarking.images import repeat_to_length
from medrov_cli.core.benchmarking.rounds import over_rounds, ratio, rounded
from medrov_cli.core.benchmarking.run import benchmark_document, open_timed_models
from medrov_cli.core.benchmarking.throughput import TimedModel, time_models
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings
from ultralytics_network import as_world_model, as_yolo, check_raster, quiet

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE_PX = 0.1
"""Limits of the differences of equal networks, over all anchors and classes."""

CORES = usable_cores()
"""Cores of both programs, counted before the import of ultralytics, which sets ``OMP_NUM_THREADS`` to 1."""

BATCHES = (1, 8)

CONF = 0.25
"""Minimum score of both, uncalibrated (ultralytics' default)."""

TRIAL_IMAGES = 32
"""Number of images of a trial of the predictor's settings, after a warm-up on the same number."""

CHECKED = 2
"""Number of images on which the outputs of both networks are compared."""


@dataclass(frozen=True, slots=True)
class PredictorSettings:
    """Settings of the predictor.

    Attributes
    ----------
    batch
        Images per forward pass.
    rect
        Whether the border is reduced to multiples of the stride (its default, for images of one shape); else
        square.
    threads
        Torch's threads; null: ultralytics' default, one fewer than cores.
    half
        Whether to use fp16, on a GPU only.
    """

    batch: int
    rect: bool
    threads: int | None
    half: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the ``settings`` object of a trial."""
        return {"batch": self.batch, "rect": self.rect, "threads": self.threads, "half": self.half}


class UltralyticsPredictor:
    """Ultralytics' predictor with the weights.

    Parameters
    ----------
    model
        Weights, classes, and size of the model input.
    device
        ``cpu`` or ``cuda``.
    conf
        Minimum score.
    """

    def __init__(self, model: BenchmarkModel, device: str, conf: float) -> None:
        self._imgsz, self._device, self._conf = model.imgsz, device, conf
        self._classes = len(model.classes.names)
        self.world = as_world_model(model)
        self._yolo = as_yolo(self.world, model.metadata.architecture.scale)

    def differences(self, engine: Engine, images_rgb: UInt8Array) -> tuple[float, float]:
        """Return the largest differences to an engine on images, uint8 (n, s, s, 3), before suppression.

        Returns
        -------
        scores, boxes_px
            Largest differences over all anchors and classes.
        """
        scores_apart = boxes_apart = 0.0
        for image, ours in zip(images_rgb, engine.infer(images_rgb, 0.0), strict=True):
            boxes, scores = self._raw(image)
            scores_apart = max(scores_apart, float(np.abs(scores - ours.scores).max()))
            boxes_apart = max(boxes_apart, float(np.abs(boxes - ours.boxes_xyxy).max()))
        return scores_apart, boxes_apart

    def require_equal(self, engine: Engine, images_rgb: UInt8Array) -> dict[str, float]:
        """Check that both networks give equal results.

        Raises
        ------
        MedrovError
            ``INTERNAL``.
        """
        scores, boxes_px = self.differences(engine, images_rgb)
        if scores > SCORE_TOLERANCE or boxes_px > BOX_TOLERANCE_PX:
            raise MedrovError(
                ErrorCode.INTERNAL,
                f"ultralytics' network gives other results than medrov: scores differ by {scores:.2g}, "
                f"boxes by {boxes_px:.2g} pixels; speeds of different networks are not compared",
                "This version of ultralytics may have changed YOLO-World.",
            )
        return {"score": float(f"{scores:.2g}"), "box_px": float(f"{boxes_px:.2g}")}

    def candidates(self) -> list[PredictorSettings]:
        """Return the settings of the trials."""
        halves = (False, True) if self._device != "cpu" else (False,)
        threads = (None,) if self._device != "cpu" else (None, CORES)
        return [
            PredictorSettings(batch, rect, count, half)
            for half, count, batch, rect in product(halves, threads, BATCHES, (True, False))
        ]

    def images_per_s(self, settings: PredictorSettings, listing: Path) -> float:
        """Predict the files of a list; return images per second, from files to boxes as lists."""
        with self._predicting(settings, listing) as results:
            started = time.perf_counter()
            images = 0
            for result in results:
                result.boxes.data.tolist()
                images += 1
            self._synchronise()
            return images / (time.perf_counter() - started)

    def detections(
        self, settings: PredictorSettings, listing: Path
    ) -> list[tuple[Float32Array, Float32Array, IntArray]]:
        """Return boxes (n, 4) in source pixels, scores (n,) and labels (n,) of every file of a list."""
        with self._predicting(settings, listing) as results:
            rows = [result.boxes.data.float().cpu().numpy() for result in results]
        return [(found[:, :4], found[:, 4], found[:, 5].astype(np.int64)) for found in rows]

    @contextmanager
    def _predicting(self, settings: PredictorSettings, listing: Path) -> Iterator[Iterator[Any]]:
        """Yield the results; everything is set up before, and no file has been read."""
        options = {
            "source": str(listing),
            "stream": True,
            "imgsz": self._imgsz,
            "batch": settings.batch,
            "rect": settings.rect,
            "device": self._device,
            "conf": self._conf,
            "iou": IOU,
            "max_det": MAX_DET,
            "classes": list(range(self._classes)),
            "save": False,
            "verbose": False,
        }
        if settings.half:
            options["half"] = True
        with quiet(), _own_threads():
            results = self._yolo.predict(**options)
            if settings.threads is not None:
                torch.set_num_threads(settings.threads)
            self._synchronise()
            yield results

    def _raw(self, image_rgb: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Return boxes (anchors, 4) and scores (anchors, classes) of a model input, before suppression."""
        pixels = torch.from_numpy(image_rgb).permute(2, 0, 1).float().div(255)[None]
        with torch.inference_mode():
            found = self.world.predict(pixels)[0][0]  # (4 + classes, anchors)
        centre, size = found[:2].T, found[2:4].T
        boxes = torch.cat((centre - size / 2, centre + size / 2), 1)
        return boxes.numpy(), found[4 : 4 + self._classes].T.numpy()

    def _synchronise(self) -> None:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize()


def write_listing(path: Path, files: Sequence[str]) -> Path:
    """Write absolute paths of files as a list for the predictor."""
    path.write_text("".join(f"{Path(file).absolute()}\n" for file in files), encoding="utf-8")
    return path


@contextmanager
def _own_threads() -> Iterator[None]:
    """Set ultralytics' threads of torch and OpenCV during the body, and restore the former ones."""
    from ultralytics.utils import NUM_THREADS

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(NUM_THREADS)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def time_against_ultralytics(
    config: BenchmarkSettings,
    models: Sequence[TimedModel],
    model: BenchmarkModel,
    folder: Path,
    advance: Progress,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of medrov's engines, and the ``against`` object of the document.

    The outputs of both networks are compared, then the settings of ultralytics' predictor are tried; the
    fastest runs in turn with medrov.

    Parameters
    ----------
    config
        Settings with the length of the timing.
    models
        Models of medrov, opened with ``CONF`` as threshold.
    model
        Weights and classes of the models.
    folder
        Folder for lists of files.
    advance
        Called with the number of completed trials.
    """
    paths = models[0].paths
    check_raster(paths)
    predictor = UltralyticsPredictor(model, models[0].device, CONF)
    equality = _require_equal(predictor, models[0], model)
    trials = _try_settings(predictor, paths, folder, min(config.images, TRIAL_IMAGES), advance)
    best = max(trials, key=lambda trial: trial[1])[0]
    files = write_listing(folder / "all.txt", [item.path for item in repeat_to_length(paths, config.images)])
    rows, (theirs,) = time_models(
        models,
        rounds=config.rounds_or_default,
        seconds=config.seconds,
        others=[partial(predictor.images_per_s, best, files)],
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


def _require_equal(
    predictor: UltralyticsPredictor, timed: TimedModel, model: BenchmarkModel
) -> dict[str, float]:
    """Compare the networks in fp32 on the CPU, because other formats and devices add differences."""
    runtime = RuntimeSettings(device="cpu", engine=EngineName.TORCH)
    weights = WeightsFile(model.path, model.metadata)
    engine = weights.open(model.classes.embeddings, runtime, imgsz=model.imgsz, streams=1)
    frames = (frame for path in timed.paths for frame in read_frames(path))
    squares = [
        Letterbox.fit((frame.height, frame.width), model.imgsz).apply(frame.pixels_rgb)
        for frame in islice(frames, CHECKED)
    ]
    return predictor.require_equal(engine, np.stack(squares))


def _try_settings(
    predictor: UltralyticsPredictor, paths: Sequence[str], folder: Path, images: int, advance: Progress
) -> list[tuple[PredictorSettings, float]]:
    """Return the speed with each of its settings, in a second pass over some files."""
    listing = write_listing(folder / "trial.txt", [item.path for item in repeat_to_length(paths, images)])
    settings = predictor.candidates()
    trials = []
    for done, own in enumerate(settings, start=1):
        predictor.images_per_s(own, listing)
        trials.append((own, predictor.images_per_s(own, listing)))
        advance(done, len(settings), "testing settings of ultralytics")
    return trials


def measure(options: argparse.Namespace, advance: Progress) -> dict[str, Any]:
    """Return the document with the sections ``runs`` and ``against``."""
    config = settings_from(options)
    model = replace(BenchmarkModel.from_settings(config), conf=CONF, raw_scores=True)
    with images_of(config, advance, raster=True) as (paths, folder):
        models = open_timed_models(config, model, paths, advance)
        runs, against = time_against_ultralytics(config, models, model, folder, advance)
    return benchmark_document(config, model, len(paths), {"runs": runs, "against": against})


def render(document: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield the tables of a document."""
    section = document["against"]
    best, apart = section["settings"], section["largest_difference"]
    table = right_aligned("engine", "forward images/s", "end to end images/s", "times ultralytics")
    for row, entry in zip(document["runs"], section["ratios"], strict=True):
        speeds = (row[key] for key in ("forward_images_per_s", "end_to_end_images_per_s"))
        table.add_row(row["name"], *map(with_range, speeds), f"{entry['ratio']:.2f}")
    yield table
    yield ""
    shape = "rectangular" if best["rect"] else "square"
    threads = "its own number of" if best["threads"] is None else best["threads"]
    speed = with_range(section["end_to_end_images_per_s"])
    yield f"ultralytics {section['version']}: {speed} images/s end to end"
    yield (
        f"at the best of {len(section['trials'])} settings: batch {best['batch']}, {shape}, "
        f"{threads} threads{', fp16' if best['half'] else ''}"
    )
    yield f"same network: scores differ by {apart['score']:.1g}, boxes by {apart['box_px']:.1g} pixels"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = option_parser(__doc__)
    add_engine(parser)
    add_classes(parser)
    add_length(parser)
    parser.add_argument(
        "--compare", metavar="LIST", help="several engines: openvino,openvino-bf16,model.onnx"
    )
    options = parser.parse_args(arguments)
    return run_script(partial(measure, options), render, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
