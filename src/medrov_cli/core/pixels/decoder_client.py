"""Decoder processes and their pool: start, requests and answers over pipes, end."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.child_processes import module_command, module_environment
from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.pixels.shared_buffer import SharedBuffer

if sys.platform == "linux":
    import fcntl

MODULE = "medrov_cli.core.pixels.decoder_process"
"""Module that a decoder process runs."""

_PIPE_BYTES = 1 << 20

_CAN_POLL = hasattr(select, "poll")
"""Whether a deadline needs no thread, which costs as much as the copy of an image (not on Windows)."""

_MOST_STREAMS = 8
"""Idle processes that are kept: readers in several threads have a stream each."""

_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "4",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
"""Fewer threads, less address space that each reserves (it is limited), and memory that is used again."""


class DeadProcessError(Exception):
    """End of a process without an answer."""


class DecoderProcess:
    """A running decoder process; one thread uses it at a time.

    Parameters
    ----------
    modules
        Modules that it imports before the first request.
    """

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self._shared = SharedBuffer.create()
        shared = () if self._shared is None else (self._shared.file,)
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
            [*module_command(MODULE), str(*shared), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=module_environment() | _ENVIRONMENT,
            bufsize=0,
            pass_fds=shared,
        )
        for pipe in (self._process.stdin, self._process.stdout):
            _enlarge(pipe)
        if self._process.stdin is not None and _CAN_POLL:
            os.set_blocking(self._process.stdin.fileno(), False)
        self._deadline = 0.0

    def ask(
        self, request: dict[str, Any], data: bytes, seconds: float
    ) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
        """Return the answer to a request, and its bytes.

        Raises
        ------
        DeadProcessError
            The process ended, or did not answer in time; it is gone.
        """
        self._deadline = time.monotonic() + seconds
        timer = None if _CAN_POLL else threading.Timer(seconds, self._process.kill)
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            head = json.dumps(request | {"bytes": len(data)}).encode()
            self._write(len(head).to_bytes(4, "big") + head)
            self._write(data)
            answer = json.loads(self._read(int.from_bytes(self._read(4), "big")).tobytes())
            if answer.get("shared") and self._shared is not None:
                return answer, self._shared.read(answer["bytes"])
            return answer, self._read(answer["bytes"])
        except (OSError, EOFError, ValueError):
            self.close()
            raise DeadProcessError from None
        finally:
            if timer is not None:
                timer.cancel()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._process.stdin is not None:
            self._await(self._process.stdin, select.POLLOUT)
            view = view[self._process.stdin.write(view) or 0 :]

    def _await(self, pipe: IO[bytes], event: int) -> None:
        """Wait until a pipe is ready; raise `TimeoutError`, which is an `OSError`, after the deadline."""
        if not _CAN_POLL:
            return
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0, self._deadline - time.monotonic()) * 1000):
            raise TimeoutError

    def _read(self, count: int) -> npt.NDArray[np.uint8]:
        found = np.empty(count, np.uint8)  # without zeros, in contrast to a bytearray
        view: memoryview[int] = found.data
        while view:
            read = 0
            if self._process.stdout is not None:
                self._await(self._process.stdout, select.POLLIN)
                read = cast(Any, self._process.stdout).readinto(view)
            if not read:
                raise EOFError
            view = view[read:]
        return found

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        if self._shared is not None:
            self._shared.close()


def _enlarge(pipe: IO[bytes] | None) -> None:
    """Give a pipe the size of a small image, which saves switches between the processes (Linux)."""
    if pipe is not None and sys.platform == "linux":
        with suppress(OSError):  # the limit of the user
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


class DecoderPool:
    """Decoder processes of this process: at most one for each core, kept until it ends."""

    def __init__(self) -> None:
        self._idle: list[DecoderProcess] = []
        self._places = threading.Semaphore(max(usable_cores(), 1))

    def ask(
        self, request: dict[str, Any], data: bytes, seconds: float
    ) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
        """Return the answer of a process; see `DecoderProcess.ask`."""
        with self._places:
            process = self._idle_or_new()
            try:
                answer = process.ask(request, data, seconds)
            except BaseException:
                process.close()  # an interruption leaves it within an answer
                raise
            self._idle.append(process)
            return answer

    def _idle_or_new(self) -> DecoderProcess:
        try:
            return self._idle.pop()
        except IndexError:
            return DecoderProcess()

    def borrow(self) -> DecoderProcess:
        """Return a process for a stream, beside those for single images.

        It does not wait: the streams in use may be behind another image that waits.
        """
        return self._idle_or_new()

    def give_back(self, process: DecoderProcess) -> None:
        """Keep a process for later images, unless there are enough."""
        if len(self._idle) < max(usable_cores(), _MOST_STREAMS):
            self._idle.append(process)
        else:
            process.close()

    def start(self, modules: Sequence[str]) -> None:
        """Start a process, unless one is idle."""
        if not self._idle:
            self._idle.append(DecoderProcess(modules))

    def close(self) -> None:
        """End all idle processes."""
        while self._idle:
            self._idle.pop().close()
