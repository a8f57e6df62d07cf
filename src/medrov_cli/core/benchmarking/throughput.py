"""Timing of a model in an engine: forward pass, end to end, and the stages of a single image."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import cycle, islice, pairwise
from typing import Any

from medrov_cli.core.base.ordered import OrderedWriter
from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel, open_model
from medrov_cli.core.benchmarking.images import repeat_to_length
from medrov_cli.core.benchmarking.meters import EnergyMeter, wait_for
from medrov_cli.core.benchmarking.rounds import interleave, over_rounds, ratio, rounded, spread
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.prediction.engine_calls import calls_of
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.prepared import stack_arrays
from medrov_cli.core.records.detect_json import item_to_record
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.values import Variant
from medrov_cli.core.writers.sink import OutputFolder

STAGES = ("decode", "letterbox", "forward", "suppression", "write")

MOST_INPUTS = 64
"""Number of different model inputs for the timing of the forward pass: 79 MB at 640 pixels."""

WARM_UP = 4
"""Number of images that pass every stage before the timing."""


@dataclass(frozen=True)
class TimedModel:
    """Model that is opened in an engine twice: for many images, and for one at a time.

    Attributes
    ----------
    variant
        Requested engine and precision.
    many, single
        Predictors for many images, and for one at a time.
    paths
        Files, repeated if there are fewer than ``images``.
    images
        Number of images of a round.
    """

    variant: Variant
    many: Predictor
    single: Predictor
    paths: Sequence[str]
    images: int

    @classmethod
    def open(
        cls,
        model: BenchmarkModel,
        variant: Variant,
        *,
        device: str,
        batch: int | None,
        paths: Sequence[str],
        images: int,
    ) -> TimedModel:
        """Open a model in an engine."""
        many = open_model(model, variant, device=device, many=True, batch=batch)
        single = many
        if many.engine.streams > 1:
            single = open_model(model, variant, device=device, many=False, batch=None)
        return cls(variant, many, single, paths, images)

    @property
    def device(self) -> str:
        """Return ``cpu``, ``cuda`` or ``mps``."""
        return self.many.engine.name.split("-")[1]

    @cached_property
    def inputs(self) -> list[UInt8Array]:
        """Return model inputs of the first images, each uint8, (height, width, 3)."""
        frames = (frame for path in self.paths for frame in read_frames(path))
        found = (self.many.prepare(frame).input_rgb for frame in frames)
        return list(islice(found, min(MOST_INPUTS, self.images)))

    def warm_up(self) -> None:
        """Run some images through every stage, untimed."""
        self.forward()
        self.end_to_end(WARM_UP)
        self.stages(min(WARM_UP, self.images))

    def forward(self) -> float:
        """Return images per second of the forward pass with its boxes and scores.

        As many threads as in ``detect`` call the engine.
        """
        rows, batch = list(islice(cycle(self.inputs), self.images)), self.many.batch
        groups = [stack_arrays(rows[start : start + batch]) for start in range(0, self.images, batch)]
        wait_for(self.device)
        started = time.perf_counter()
        with ThreadPoolExecutor(calls_of(self.many.engine)) as pool:
            deque(pool.map(self.many.infer, groups), 0)
        wait_for(self.device)
        return self.images / (time.perf_counter() - started)

    def end_to_end(self, images: int | None = None) -> tuple[int, float]:
        """Return images and seconds of a run of ``detect``, from files on disk to JSON lines on disk."""
        return run_end_to_end(self.many, self.paths, images or self.images)

    def stages(self, images: int | None = None) -> list[dict[str, float]]:
        """Return the seconds of each stage of each image, sequentially in one thread."""
        count = images or self.images
        times: list[dict[str, float]] = []
        with scratch_folder() as scratch:
            folder = OutputFolder(scratch / "out", (), self.single.classes.names)
            folder.open(lambda _: 0)
            with closing(folder):
                for item in repeat_to_length(self.paths, count):
                    times += _stages_of(item.path, self.single, self.device, folder)
        return times[:count]


def _stages_of(path: str, predictor: Predictor, device: str, folder: OutputFolder) -> list[dict[str, float]]:
    """Return the seconds of each stage of each frame of a file."""
    times: list[dict[str, float]] = []
    clock = time.perf_counter
    frames = read_frames(path)
    while True:
        marks = [clock()]
        frame = next(frames, None)
        if frame is None:
            return times
        marks.append(clock())
        prepared = predictor.prepare(frame)
        marks.append(clock())
        (candidates,) = predictor.infer(prepared.input_rgb[None])
        wait_for(device)
        marks.append(clock())
        record = item_to_record(predictor.finish(prepared, candidates))
        marks.append(clock())
        folder.write(record, None)
        marks.append(clock())
        passed = (after - before for before, after in pairwise(marks))
        times.append(dict(zip(STAGES, passed, strict=True)))


def run_end_to_end(
    predictor: Predictor,
    paths: Sequence[str],
    images: int,
    on_image: Callable[[], None] = lambda: None,
) -> tuple[int, float]:
    """Process files on disk to JSON lines on disk; return the number of images (with frames) and seconds.

    All models are open before; the first file is read after the start of the clock.

    Raises
    ------
    MedrovError
        ``INTERNAL`` if a file that was readable before cannot be read.
    """
    inputs = repeat_to_length(paths, images)
    count = 0
    with scratch_folder() as scratch:
        folder = OutputFolder(scratch / "out", (), predictor.classes.names)

        def write(item: Detections | Failure) -> None:
            folder.write(item_to_record(item), None)
            on_image()

        with closing(folder):
            started = time.perf_counter()
            folder.open(lambda _: 0)
            with (
                closing(predictor.stream([item.path for item in inputs], on_failure="raise")) as stream,
                OrderedWriter(waiting=2 * predictor.batch) as writer,
            ):
                for item in stream:
                    writer.submit(partial(write, item))
                    count += 1
            folder.finish({})
            seconds = time.perf_counter() - started
    return count, seconds


def time_models(
    models: Sequence[TimedModel],
    *,
    rounds: int | None,
    seconds: float | None,
    others: Sequence[Callable[[], float]] = (),
) -> tuple[list[dict[str, Any]], list[list[float]]]:
    """Warm up, time models in turn, and return one row of figures for each.

    Parameters
    ----------
    models
        Timed models; the first is the reference of the ratios.
    rounds, seconds
        See :func:`~medrov_cli.core.benchmarking.rounds.interleave`.
    others
        Further actions of the same rounds, each with one figure; the second result.
    """
    for model in models:
        model.warm_up()
    actions: list[Callable[[], Any]] = [partial(_one_round, model) for model in models]
    turns = interleave([*actions, *others], rounds=rounds, seconds=seconds)
    own_turns = turns[: len(models)]
    rows = [_row(model, own, own_turns[0]) for model, own in zip(models, own_turns, strict=True)]
    return rows, turns[len(models) :]


def _row(model: TimedModel, own: list[_Turn], first: list[_Turn]) -> dict[str, Any]:
    """Return the element of ``runs`` of the document."""
    images = [image for turn in own for image in turn.stages]
    joules = [turn.joules for turn in own if turn.joules is not None]
    predictor = model.many
    return {
        "name": str(model.variant),
        "engine": predictor.engine.name,
        "precision": model.variant.precision.value,
        "rectangles": predictor.rectangles,
        "streams": predictor.engine.streams,
        "batch": predictor.batch,
        "forward_images_per_s": over_rounds([turn.forward for turn in own]),
        "end_to_end_images_per_s": over_rounds([turn.end_to_end for turn in own]),
        "forward_ratio": ratio([turn.forward for turn in own], [turn.forward for turn in first]),
        "end_to_end_ratio": ratio([turn.end_to_end for turn in own], [turn.end_to_end for turn in first]),
        "latency_ms": spread([sum(image.values()) for image in images]),
        "stages_ms": {stage: spread([image[stage] for image in images]) for stage in STAGES},
        "energy_j_per_image": rounded(sum(joules) / len(joules)) if joules else None,
    }


@dataclass(frozen=True, slots=True)
class _Turn:
    """Figures of one round: images per second of both timings, seconds by stage, joules per image."""

    forward: float
    end_to_end: float
    stages: list[dict[str, float]]
    joules: float | None


def _one_round(model: TimedModel) -> _Turn:
    meter = EnergyMeter(uses_gpu=model.device == "cuda")
    forward = model.forward()
    before = meter.read()
    images, seconds = model.end_to_end()
    joules = meter.joules(before, meter.read())
    return _Turn(forward, images / seconds, model.stages(), None if joules is None else joules / images)
