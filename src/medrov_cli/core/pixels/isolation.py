"""Decoding in processes of their own, so that a decoder that dies, hangs or eats memory costs one input.

Decoders of JPEG 2000, JPEG-LS, lossless and 12-bit JPEG, and of uncommon TIFF compressions, are native code
that few people test. They run in `decoder_process`, which is started at the first such image, serves many,
and is started again after it died. Its limits of memory and of processor time belong to each request.
"""

from __future__ import annotations

import atexit
import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.decoder_client import DeadProcessError, DecoderPool
from medrov_cli.core.pixels.greyscale import Values

CPU_SECONDS = 5
"""Processor time for an image, in addition to `CPU_SECONDS_A_MEGAPIXEL`."""

CPU_SECONDS_A_MEGAPIXEL = 1
"""Ten times what the slowest decoder needs for a megasample."""

WALL_SECONDS = 600
"""Time after which a process that computes nothing is ended. It is long, because the machine may be busy. The
limit of processor time ends a decoder that computes without end."""

_EXTRA_BYTES = 512 << 20
"""Address space for libraries that the process still has to load."""

_THREAD_BYTES = 16 << 20
"""Address space for each core: stacks of the threads of a decoder."""


class IsolatedError(Exception):
    """Exception of a decoder in its process.

    Parameters
    ----------
    name
        Class of the exception. Its text stays in the process, because it may quote the file.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Decoded(NamedTuple):
    """Values of an image, and what else its decoder reports."""

    values: Values
    extra: Mapping[str, Any]


_pool: DecoderPool | None = None
_lock = threading.Lock()


def decode_isolated(task: str, data: bytes, need_bytes: int, samples: int, **options: Any) -> Decoded:
    """Decode an image in another process.

    Parameters
    ----------
    task
        Name in `decoder_process.TASKS`.
    data
        Code stream.
    need_bytes
        Estimate of what decoding allocates; twice as much is allowed.
    samples
        Pixels times components: the processor time follows from it.
    options
        Values for JSON.

    Raises
    ------
    MedrovError
        ``decode_failed`` if the process dies or takes too long; ``too_large`` if it lacks memory.
    IsolatedError
        The decoder raises an exception.
    """
    request = request_of(task, need_bytes, samples, options)
    with ended_as_error():
        answer, body = own_pool().ask(request, data, WALL_SECONDS + request["cpu_seconds"])
    return decoded_of(answer, body)


def request_of(task: str, need_bytes: int, samples: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with its limits; see `decode_isolated`."""
    return {
        "task": task,
        "options": options,
        "memory_bytes": 2 * need_bytes + _EXTRA_BYTES + _THREAD_BYTES * (os.cpu_count() or 1),
        "cpu_seconds": CPU_SECONDS + math.ceil(samples / 1e6 * CPU_SECONDS_A_MEGAPIXEL),
    }


@contextmanager
def ended_as_error() -> Iterator[None]:
    """Convert the end of a process to ``decode_failed``."""
    try:
        yield
    except DeadProcessError:
        raise MedrovError(
            ErrorCode.DECODE_FAILED,
            "The decoder ended abnormally, or took too long or too much memory.",
            "The image is corrupt: export it again, preferably uncompressed.",
        ) from None


def decoded_of(answer: Mapping[str, Any], body: npt.NDArray[np.uint8]) -> Decoded:
    """Return the array of an answer; raise the exception in it, see `decode_isolated`."""
    if "code" in answer:
        raise MedrovError(ErrorCode(answer["code"]), answer["message"], answer["hint"])
    if "error" in answer:
        if answer["error"] == "MemoryError":
            raise MemoryError
        if answer["error"] == "EOFError":
            raise EOFError
        raise IsolatedError(str(answer["error"]))
    values = body.view(np.dtype(answer["dtype"])).reshape(answer["shape"])
    return Decoded(values, answer["extra"])


def start_decoder(modules: Sequence[str]) -> None:
    """Start a decoder process before the first image needs it, and import modules in it.

    Without it, the first image waits for a new interpreter and these imports.
    """
    own_pool().start(modules)


def close_processes() -> None:
    """End all decoder processes that are idle; the next image starts one again."""
    if _pool is not None:
        _pool.close()


def own_pool() -> DecoderPool:
    """Return the decoder processes of this process."""
    global _pool  # noqa: PLW0603 - the processes belong to this process
    with _lock:
        if _pool is None:
            _pool = DecoderPool()
            atexit.register(close_processes)
        return _pool


def _forget() -> None:
    """Leave the processes to the parent after a fork."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
