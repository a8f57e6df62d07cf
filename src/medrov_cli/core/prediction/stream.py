"""The ordered pipeline of a predictor: read ahead in threads, infer in batches, finish in order.

No library does this: several inputs are open at once, one input gives a number of frames that is not known
before, an input that fails costs itself alone, and the composition of batches is reproducible.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeAlias, TypeVar

import numpy as np

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.ordered import OrderedReader
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame, ImageSource, UInt8Array

Image: TypeAlias = str | Path | Frame | UInt8Array | ImageSource
"""An input of a predictor: a path, a frame, pixels as uint8 (height, width, 3) RGB, or a source."""

OnFailure = Literal["record", "stop", "raise"]
"""``record``: a failed input is an item, and the stream continues. ``stop``: it is the last item. ``raise``:
its error is raised after the items before it."""

BatchBy = Literal["readable", "position"]
"""``readable``: a failed input takes no place in a batch. ``position``: it takes one, so that its batch is
the same once the file is repaired."""

Prepared = TypeVar("Prepared")
Found = TypeVar("Found")

_Result: TypeAlias = Future[tuple[Sequence[Found], float]]


@dataclass(frozen=True, slots=True)
class Stages(Generic[Prepared, Found]):
    """The steps of an image.

    Attributes
    ----------
    prepare
        From a frame to the input of the network; called in several threads.
    infer
        From the inputs of a batch to the output for each.
    finish
        From input, output and milliseconds an image to detections.
    """

    prepare: Callable[[Frame], Prepared]
    infer: Callable[[Sequence[Prepared]], Sequence[Found]]
    finish: Callable[[Prepared, Found, float], Detections]

    def run_batch(self, images: Sequence[Prepared]) -> tuple[Sequence[Found], float]:
        """Return the network's output for each image, and the milliseconds that one took."""
        if not images:
            return (), 0.0
        started = time.perf_counter()
        found = self.infer(images)
        return found, round((time.perf_counter() - started) * 1000 / len(images), 1)

    def read(self, source: ImageSource) -> Iterator[Prepared | Failure]:
        """Yield the prepared frames of a source, and the input error that it ended with."""
        try:
            for frame in source.frames():
                yield self.prepare(frame)
        except MedrovError as error:
            if not error.is_input_error:
                raise
            yield Failure(source.path, error)

    def finish_group(
        self, group: Sequence[Prepared | Failure], result: _Result[Found], on_failure: OnFailure
    ) -> Iterator[Detections | Failure]:
        """Yield what comes of a batch and of the failures in it, in order."""
        found, elapsed_ms = result.result()
        outputs = iter(found)
        for item in group:
            if not isinstance(item, Failure):
                yield self.finish(item, next(outputs), elapsed_ms)
            elif on_failure == "raise":
                raise item.error
            else:
                yield item


@dataclass(frozen=True, slots=True)
class _File:
    """An image file; see :class:`medrov_cli.core.records.frame.ImageSource`."""

    path: str

    def frames(self) -> Iterator[Frame]:
        return read_frames(self.path)


@dataclass(frozen=True, slots=True)
class _OneFrame:
    """A frame that is in memory; see :class:`medrov_cli.core.records.frame.ImageSource`."""

    frame: Frame

    @property
    def path(self) -> str:
        return self.frame.path

    def frames(self) -> Iterator[Frame]:
        yield self.frame


def to_source(image: Image) -> ImageSource:
    """Return an input as a source.

    Raises
    ------
    ValueError
        An array is not uint8 of shape (height, width, 3).
    """
    if isinstance(image, str | Path):
        return _File(str(image))
    if isinstance(image, Frame):
        return _OneFrame(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an image is uint8, (height, width, 3), not {image.dtype}, {image.shape}")
        return _OneFrame(Frame(image, "array"))
    return image


def list_images(images: Image | Iterable[Image]) -> Iterable[Image]:
    """Return one image or several as several; an array of four axes is several images."""
    if isinstance(images, np.ndarray):
        return [images] if images.ndim == 3 else images
    if isinstance(images, Iterable) and not isinstance(images, str):
        return images
    return [images]


def run_stream(
    stages: Stages[Prepared, Found],
    images: Iterable[Image],
    *,
    batch: int,
    threads: int,
    on_failure: OnFailure,
    batch_by: BatchBy,
) -> Generator[Detections | Failure, None, None]:
    """Yield what comes of each frame, in order; see ``stream`` of the predictor.

    The network runs in a thread of its own, on the next batch while the caller uses this one.
    """
    ahead: tuple[Sequence[Prepared | Failure], _Result[Found]] | None = None
    with (
        OrderedReader(map(to_source, images), stages.read, threads) as reader,
        ThreadPoolExecutor(1, "medrov-engine") as engine,
    ):
        items = (item for _, item in reader if not isinstance(item, MedrovError))
        for group in _groups(items, batch, batch_by, ends_at_failure=on_failure != "record"):
            readable = [item for item in group if not isinstance(item, Failure)]
            behind, ahead = ahead, (group, engine.submit(stages.run_batch, readable))
            if behind is not None:
                yield from stages.finish_group(*behind, on_failure)
        if ahead is not None:
            yield from stages.finish_group(*ahead, on_failure)


def _groups(
    items: Iterable[Prepared | Failure], batch: int, batch_by: BatchBy, *, ends_at_failure: bool
) -> Iterator[list[Prepared | Failure]]:
    """Yield runs of items, each a batch with the failures in between; the last may be smaller.

    By ``readable``, a run has ``batch`` images, so that a batch does not depend on where a run was cut.
    """
    group: list[Prepared | Failure] = []
    counted = 0
    for item in items:
        group.append(item)
        is_failure = isinstance(item, Failure)
        counted += batch_by == "position" or not is_failure
        if is_failure and ends_at_failure:
            break
        if counted == batch or not counted:
            yield group
            group, counted = [], 0
    if group:
        yield group
