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
_POLL_S = 0.05  # between checks whether reading has stopped


class _End:
    """Marker of the end of a source."""


_Slot: TypeAlias = Item | MedrovError | _End


class Turn:
    """Place of a source in the order of its reader, for a resource that all sources share.

    Parameters
    ----------
    earlier
        Turn of the source before; null for the first. Also an attribute.
    stop
        Set when reading stops.

    Attributes
    ----------
    has_reserved
        Whether the source has a part of the resource, or had one.
    is_over
        Whether the source was read to its end.
    """

    def __init__(self, earlier: Turn | None, stop: threading.Event) -> None:
        self.earlier = earlier
        self._stop = stop
        self.has_reserved = False
        self.is_over = False

    @property
    def is_stopped(self) -> bool:
        """Return whether reading stops, or the program ends."""
        return self._stop.is_set() or not threading.main_thread().is_alive()

    @property
    def is_first(self) -> bool:
        """Return whether all sources before were read to their end."""
        return not any(True for _ in self._unfinished())

    @property
    def may_reserve(self) -> bool:
        """Return whether all sources before have a part of the resource, or were read to their end."""
        return all(turn.has_reserved for turn in self._unfinished())

    def _unfinished(self) -> Iterator[Turn]:
        """Yield the turns of sources before that were not read to their end; forget the others."""
        turn = self
        while (earlier := turn.earlier) is not None:  # read once: other threads forget turns, too
            if earlier.is_over:
                turn.earlier = earlier.earlier
            else:
                turn = earlier
                yield turn


_turns = threading.local()


def current_turn() -> Turn | None:
    """Return the turn of the source that this thread reads; null outside of a reader."""
    turn: Turn | None = getattr(_turns, "turn", None)
    return turn


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
        self._last_turn: Turn | None = None

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
        """Stop reading: open sources end after their current item.

        An interruption can come between any two steps, so this relies neither on the list of jobs nor on
        the ends of their queues: a thread gives up its item when it sees that reading has stopped.
        """
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    def _start(self, number: int, source: Source) -> None:
        items: queue.Queue[_Slot[Item]] = queue.Queue(_ITEMS_AHEAD)
        self._last_turn = turn = Turn(self._last_turn, self._stop)
        self._jobs.append(_Job(number, self._pool.submit(self._fill, source, items, turn), items))

    def _drain(self) -> Iterator[tuple[int, Item | MedrovError]]:
        """Yield the rest of the oldest source, whose thread is running: threads start sources in order."""
        job = self._jobs[0]
        while not isinstance(item := job.items.get(), _End):
            yield job.number, item
        self._jobs.popleft()
        job.future.result()

    def _fill(self, source: Source, items: queue.Queue[_Slot[Item]], turn: Turn) -> None:
        _turns.turn = turn
        try:
            for item in () if self._stop.is_set() else self._read(source):
                if not self._put(items, item):
                    break
        except MedrovError as error:
            if not error.is_input_error:
                raise
            self._put(items, error)
        finally:
            _turns.turn = None
            turn.is_over = True
            self._put(items, _End())

    def _put(self, items: queue.Queue[_Slot[Item]], item: _Slot[Item]) -> bool:
        """Put an item when the queue has space; give it up when reading stops or the program ends."""
        while not self._stop.is_set() and threading.main_thread().is_alive():
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
