"""Budget of memory for reading images, over all inputs that are open in this process.

A reader computes from headers and code streams what it will allocate, and reserves it first. An input that
needs more than the whole budget is ``too_large``. Otherwise the reader waits until other inputs are closed.

The sources of an ordered reader get memory in their order, because an open source keeps its memory until its
frames are used, and they are used in order. The first source never waits, so that no two wait for each other.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.memory_limits import usable_memory_bytes
from medrov_cli.core.base.ordered import Turn, current_turn

DEFAULT_SHARE = 0.25
"""Fraction of the memory of this process: the network, its caches and the results need the rest."""

PLAUSIBLE_PIXELS = 32_000_000
"""Pixels of an input that any file may have: more than the largest radiographs."""

PIXELS_PER_BYTE = 4096
"""Pixels above `PLAUSIBLE_PIXELS` that each byte of a file may have. Deflate reaches 1,032 values a byte."""

_POLL_S = 0.05
_GIBIBYTE = 1024**3


class MemoryBudget:
    """Number of bytes that open inputs may allocate together.

    Parameters
    ----------
    limit_bytes
        The whole budget; null: `DEFAULT_SHARE` of the memory of this process.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._by_thread: dict[int, int] = defaultdict(int)
        self._changed = threading.Condition()  # reentrant: a finalizer may run while it is held

    @property
    def limit_bytes(self) -> int:
        """Return the whole budget."""
        if self._limit is None:
            self._limit = int(usable_memory_bytes() * DEFAULT_SHARE)
        return self._limit

    @property
    def used_bytes(self) -> int:
        """Return what is reserved at this moment."""
        return self._used

    def set_limit(self, limit_bytes: int | None) -> None:
        """Change the budget; null: the default. Reservations stay."""
        with self._changed:
            self._limit = limit_bytes
            self._changed.notify_all()

    def require(self, need_bytes: int) -> None:
        """Check that the budget holds a number of bytes beside those that this thread has reserved.

        Raises
        ------
        MedrovError
            ``too_large``.
        """
        need_bytes += self._by_thread.get(threading.get_ident(), 0)
        if need_bytes > self.limit_bytes:
            raise MedrovError(
                ErrorCode.TOO_LARGE,
                f"The image needs {_gibibytes(need_bytes)} GiB of memory; the limit is "
                f"{_gibibytes(self.limit_bytes)} GiB.",
                "Give a higher --max-memory, or crop or downsample the image.",
            )

    def acquire(self, need_bytes: int, *, waits: bool = True) -> int:
        """Reserve bytes, after waiting for other inputs; return the thread that they are counted for.

        A thread that has reserved bytes does not wait for more, because others may wait for it. Nor does the
        main thread: it may be the one that uses the frames of the others.

        Raises
        ------
        MedrovError
            ``too_large``.
        """
        self.require(need_bytes)
        thread, turn = threading.get_ident(), current_turn()
        with self._changed:
            while waits and not self._may_acquire(need_bytes, thread, turn):
                if turn is not None and turn.is_stopped:
                    raise MedrovError(ErrorCode.UNREADABLE, "Reading was stopped.", "Start again.")
                self._changed.wait(_POLL_S)
            self._used += need_bytes
            self._by_thread[thread] += need_bytes
        if turn is not None:
            turn.has_reserved = True
        return thread

    def release(self, need_bytes: int, thread: int) -> None:
        """Release bytes that were counted for a thread."""
        with self._changed:
            self._used -= need_bytes
            self._by_thread[thread] -= need_bytes
            if not self._by_thread[thread]:
                del self._by_thread[thread]
            self._changed.notify_all()

    def _may_acquire(self, need_bytes: int, thread: int, turn: Turn | None) -> bool:
        if self._by_thread.get(thread, 0) or thread == threading.main_thread().ident:
            return True
        fits = self._used + need_bytes <= self.limit_bytes
        if turn is None:
            return fits
        return turn.is_first or (fits and turn.may_reserve)


_budget = MemoryBudget()


def limit_memory(limit_bytes: int | None) -> None:
    """Set the budget of this process in bytes; null: the default."""
    _budget.set_limit(limit_bytes)


def memory_limit_bytes() -> int:
    """Return the budget of this process."""
    return _budget.limit_bytes


def reserved_bytes() -> int:
    """Return what all open inputs of this process have reserved."""
    return _budget.used_bytes


@contextmanager
def reserve(need_bytes: int, *, waits: bool = True) -> Iterator[None]:
    """Reserve memory for the time of a ``with``.

    Parameters
    ----------
    need_bytes
        Bytes that the body allocates.
    waits
        Whether to wait for other inputs. Regions of an open image do not: sources behind it may hold memory
        until its regions are read.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    thread = _budget.acquire(need_bytes, waits=waits)
    try:
        yield
    finally:
        _budget.release(need_bytes, thread)


def reserved_array(size: int) -> npt.NDArray[np.uint8]:
    """Return an uninitialised array of bytes, reserved as long as it or a view of it exists.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    thread = _budget.acquire(size)
    try:
        array: npt.NDArray[Any] = np.empty(size, dtype=np.uint8)
    except BaseException:
        _budget.release(size, thread)
        raise
    weakref.finalize(array, _budget.release, size, thread).atexit = False
    return array


def count_array(array: npt.NDArray[Any]) -> None:
    """Reserve the bytes of an array that exists, without waiting, as long as it or a view of it exists.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    thread = _budget.acquire(array.nbytes, waits=False)
    weakref.finalize(array, _budget.release, array.nbytes, thread).atexit = False


def read_whole(path: str) -> bytes:
    """Return the bytes of a file, which must fit into the budget.

    Raises
    ------
    MedrovError
        ``too_large``.
    OSError
        The file cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        _budget.require(os.fstat(file.fileno()).st_size)
        return file.read()


def require_plausible(pixels: int, file_bytes: int, pixels_per_byte: int = PIXELS_PER_BYTE) -> None:
    """Check that a file can hold the pixels that its header states.

    Parameters
    ----------
    pixels
        Pixels of all frames.
    file_bytes
        Size of the compressed data.
    pixels_per_byte
        Largest ratio of both.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    if pixels > PLAUSIBLE_PIXELS and pixels > file_bytes * pixels_per_byte:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The header states {pixels} pixels, but the file has only {file_bytes} bytes.",
            "Export the file again: it is damaged, or made to exhaust memory.",
        )


def _gibibytes(count: int) -> str:
    return f"{count / _GIBIBYTE:.2f}"
