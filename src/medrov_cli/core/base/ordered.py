"""Parallel reading and ordered writing with bounded memory.

It is written by hand because ``Executor.map`` submits all sources at once, and torch's data loader needs
torch and stops at the first error. Here memory is bounded, the order is kept, and an input error is an item.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeAlias, TypeVar

from medrov_cli.core.base.errors import MedrovError

Source = TypeVar("Source")
Item = TypeVar("Item")

_ITEMS_AHEAD = 2  # per source: one is used while the next is read
_POLL_S = 0.5  # between checks whether the program has ended without closing the reader


class _End:
    """Marker of the end of a source."""


_Slot: TypeAlias = Item | MedrovError | _End


@dataclass(frozen=True, slots=True)
class _Job(Generic[Item]):
    """Source in progress, and its items so far."""

    number: int
    future: Future[None]
    items: queue.Queue[_Slot[Item]]


class OrderedReader(Generic[Source, Item]):
    """Reader of several sources in parallel, with a short queue each, and items in order.

    At most ``threads + 1`` sources are open, each with a few items ahead. A source that fails
    with an input error ends with that error as its last item; any other exception is raised.

    Parameters
    ----------
    sources
        Sources to read.
    read
        Function of a source to its items.
    threads
        Number of sources that are read in parallel.
    """

    def __init__(
        self, sources: Iterable[Source], read: Callable[[Source], Iterator[Item]], threads: int
    ) -> None:
        self._sources = sources
        self._read = read
        self._ahead = threads + 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="medrov-read")
        self._jobs: deque[_Job[Item]] = deque()
        self._stop = threading.Event()

    def __iter__(self) -> Iterator[tuple[int, Item | MedrovError]]:
        """Yield the number of the source, and an item of it or its error."""
        waiting = iter(enumerate(self._sources))
        for number, source in waiting:
            self._start(number, source)
            if len(self._jobs) == self._ahead:
                yield from self._drain()
        while self._jobs:
            yield from self._drain()

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading: open sources end after their current item."""
        self._stop.set()
        for job in self._jobs:
            while not isinstance(job.items.get(), _End):
                pass
        self._pool.shutdown()

    def _start(self, number: int, source: Source) -> None:
        items: queue.Queue[_Slot[Item]] = queue.Queue(_ITEMS_AHEAD)
        self._jobs.append(_Job(number, self._pool.submit(self._fill, source, items), items))

    def _drain(self) -> Iterator[tuple[int, Item | MedrovError]]:
        """Yield the rest of the oldest source, whose thread is running: threads start sources in order."""
        job = self._jobs[0]
        while not isinstance(item := job.items.get(), _End):
            yield job.number, item
        self._jobs.popleft()
        job.future.result()

    def _fill(self, source: Source, items: queue.Queue[_Slot[Item]]) -> None:
        try:
            for item in () if self._stop.is_set() else self._read(source):
                if not self._put(items, item) or self._stop.is_set():
                    break
        except MedrovError as error:
            if not error.is_input_error:
                raise
            self._put(items, error)
        finally:
            self._put(items, _End())

    def _put(self, items: queue.Queue[_Slot[Item]], item: _Slot[Item]) -> bool:
        """Wait for room in the queue; give up when the program ends, which a blocked thread would prevent."""
        while threading.main_thread().is_alive():
            with contextlib.suppress(queue.Full):
                items.put(item, timeout=_POLL_S)
                return True
        return False


class OrderedWriter:
    """Sequential writer in a separate thread, with a bounded number of waiting tasks.

    The first exception of a task is raised by the next call, or at the end of the ``with``.

    Parameters
    ----------
    waiting
        Maximum number of waiting tasks.
    """

    def __init__(self, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="medrov-write")
        self._waiting = waiting
        self._tasks: deque[Future[None]] = deque()
        self._has_failed = False

    def submit(self, task: Callable[[], None]) -> None:
        """Run a task after all earlier ones."""
        self._tasks.append(self._pool.submit(self._run, task))
        while self._tasks and (self._tasks[0].done() or len(self._tasks) > self._waiting):
            self._tasks.popleft().result()

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the tasks; after a failure, discard tasks that have not started."""
        try:
            if error is None:
                while self._tasks:
                    self._tasks.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _run(self, task: Callable[[], None]) -> None:
        if self._has_failed:  # no output after a missing task
            return
        try:
            task()
        except BaseException:
            self._has_failed = True
            raise
