"""The ordered pipeline of a predictor: read ahead in threads, infer in batches, finish in order.

It is written by hand because no library combines its properties: several inputs are read in parallel, the
number of frames of an input is not known in advance, an input that fails does not affect the others, and the
composition of batches is reproducible.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.ordered import OrderedReader
from medrov_cli.core.pixels.input_errors import out_of_memory
from medrov_cli.core.prediction.image_sources import Image, list_images, to_readable
from medrov_cli.core.prediction.prepared import TiledFrame
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame, ImageSource

OnFailure = Literal["record", "stop", "raise"]
"""``record``: a failed input is an item, and the stream continues. ``stop``: it is the last item. ``raise``:
its error is raised after the items before it."""

BatchBy = Literal["readable", "position"]
"""``readable``: a failed input takes no place in a batch. ``position``: it takes one, so that its batch is
the same once the file is repaired."""

Prepared = TypeVar("Prepared")
Found = TypeVar("Found")

_Result: TypeAlias = Future[tuple[Sequence[Found], float]]


def _refuse_tiles(item: TiledFrame) -> Detections:
    raise ValueError(f"{item.frame.path}: this procedure searches no tiles")


class BatchClock:
    """Time of batches in several threads; the time that two batches share counts once."""

    def __init__(self) -> None:
        self._last = -math.inf
        self._lock = threading.Lock()

    def seconds(self, started: float) -> float:
        """Return the seconds of a batch that ends now, from its start or the end of the batch before."""
        with self._lock:
            ended = time.perf_counter()
            since, self._last = max(started, self._last), ended
            return ended - since


@dataclass(frozen=True, slots=True)
class Stages(Generic[Prepared, Found]):
    """The steps of an image.

    Attributes
    ----------
    prepare
        Function of a frame to the input of the network, or to an image in tiles; called in several threads.
    infer
        Function of the inputs of a batch to the output of each.
    finish
        Function of input, output and milliseconds per image to detections.
    search
        Function of an image in tiles to its detections.
    parallel_calls
        Number of threads that may call ``infer`` at a time.
    """

    prepare: Callable[[Frame], Prepared | TiledFrame]
    infer: Callable[[Sequence[Prepared]], Sequence[Found]]
    finish: Callable[[Prepared, Found, float], Detections]
    search: Callable[[TiledFrame], Detections] = _refuse_tiles
    parallel_calls: int = 1

    def run_batch(
        self, images: Sequence[Prepared], clock: BatchClock | None = None
    ) -> tuple[Sequence[Found], float]:
        """Return the output of each image, and the milliseconds per image."""
        if not images:
            return (), 0.0
        started = time.perf_counter()
        found = self.infer(images)
        seconds = (clock or BatchClock()).seconds(started)
        return found, round(seconds * 1000 / len(images), 1)

    def read(self, source: ImageSource) -> Iterator[Prepared | TiledFrame | Failure]:
        """Yield the prepared frames of a source, and the input error at its end."""
        try:
            for frame in source.frames():
                yield self.prepare(frame)
        except MedrovError as error:
            if not error.is_input_error:
                raise
            yield Failure(source.path, error)
        except MemoryError:
            yield Failure(source.path, out_of_memory())

    def finish_group(
        self, group: Sequence[Prepared | Failure], result: _Result[Found], on_failure: OnFailure
    ) -> Iterator[Detections | Failure]:
        """Yield the detections of a batch and the failures in it, in order."""
        found, elapsed_ms = result.result()
        outputs = iter(found)
        for item in group:
            if not isinstance(item, Failure):
                yield self.finish(item, next(outputs), elapsed_ms)
            elif on_failure == "raise":
                raise item.error
            else:
                yield item

    def search_item(self, item: TiledFrame, on_failure: OnFailure) -> Detections | Failure:
        """Return the detections of an image in tiles, or its failure."""
        try:
            return self.search(item)
        except MedrovError as error:
            if not error.is_input_error or on_failure == "raise":
                raise
            return Failure(item.frame.path, error)


def run_stream(
    stages: Stages[Prepared, Found],
    images: Image | Iterable[Image],
    *,
    batch: int,
    threads: int,
    on_failure: OnFailure,
    batch_by: BatchBy,
) -> Generator[Detections | Failure, None, None]:
    """Yield the result of each frame, in order; see ``stream`` of the predictor.

    The network computes the next batches in its own threads while the caller uses the current one.
    """
    ahead: deque[tuple[Sequence[Prepared | Failure], _Result[Found]]] = deque()
    calls = stages.parallel_calls
    clock = BatchClock()
    with (
        OrderedReader(map(to_readable, list_images(images)), stages.read, threads) as reader,
        ThreadPoolExecutor(calls, "medrov-engine") as engine,
    ):
        items = (item for _, item in reader if not isinstance(item, MedrovError))
        for group in group_items(items, batch, batch_by, ends_at_failure=on_failure != "record"):
            if isinstance(group, TiledFrame):
                while ahead:
                    yield from stages.finish_group(*ahead.popleft(), on_failure)
                found = stages.search_item(group, on_failure)
                yield found
                if isinstance(found, Failure) and on_failure == "stop":
                    return
                continue
            readable = [item for item in group if not isinstance(item, Failure)]
            ahead.append((group, engine.submit(stages.run_batch, readable, clock)))
            if len(ahead) > calls:
                yield from stages.finish_group(*ahead.popleft(), on_failure)
        while ahead:
            yield from stages.finish_group(*ahead.popleft(), on_failure)


def group_items(
    items: Iterable[Prepared | TiledFrame | Failure], batch: int, batch_by: BatchBy, *, ends_at_failure: bool
) -> Iterator[list[Prepared | Failure] | TiledFrame]:
    """Yield groups of items, each a batch with the failures in between; the last can be smaller.

    With ``readable``, a group has ``batch`` images, so that a batch does not depend on an interruption. An
    image in tiles ends the group before it, and is a group by itself.
    """
    group: list[Prepared | Failure] = []
    counted = 0
    for item in items:
        if isinstance(item, TiledFrame):
            if group:
                yield group
            group, counted = [], 0
            yield item
            continue
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
