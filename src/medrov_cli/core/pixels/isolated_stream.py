"""Frames of animations and videos from a decoder process, which decodes the next one while one is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from medrov_cli.core.pixels.decoder_client import DecoderPool, DecoderProcess
from medrov_cli.core.pixels.decoder_process import NEXT
from medrov_cli.core.pixels.isolation import (
    WALL_SECONDS,
    Decoded,
    decoded_of,
    ended_as_error,
    own_pool,
    request_of,
)


class IsolatedStream:
    """Stream of a task in ``decoder_process.STREAMS``.

    Attributes
    ----------
    head
        What the first array says: facts of the header.
    """

    def __init__(self, process: DecoderProcess) -> None:
        self._process = process
        self.head: Mapping[str, Any] = {}

    def open(self, task: str, data: bytes, need_bytes: int, options: Mapping[str, Any]) -> None:
        """Start the task, and read the head."""
        decoded = self._ask(request_of(task, need_bytes, 0, options), data)
        self.head = {} if decoded is None else decoded.extra

    def next(self, need_bytes: int, samples: int) -> Decoded | None:
        """Return the next array; null at the end. For parameters and exceptions see `decode_isolated`."""
        return self._ask(request_of(NEXT, need_bytes, samples, {}), b"")

    def _ask(self, request: dict[str, Any], data: bytes) -> Decoded | None:
        with ended_as_error():
            answer, body = self._process.ask(request, data, WALL_SECONDS + request["cpu_seconds"])
        return None if "end" in answer else decoded_of(answer, body)


@contextmanager
def open_stream(task: str, data: bytes, need_bytes: int, **options: Any) -> Iterator[IsolatedStream]:
    """Open a stream in a decoder process, which belongs to it until the ``with`` ends.

    Parameters
    ----------
    task
        Name in ``decoder_process.STREAMS``.
    data
        Content of the file.
    need_bytes
        Estimate of what reading of the header allocates.
    options
        Values for JSON.

    Raises
    ------
    MedrovError, IsolatedError
        See `decode_isolated`.
    """
    pool: DecoderPool = own_pool()
    process = pool.borrow()
    stream = IsolatedStream(process)
    try:
        stream.open(task, data, need_bytes, options)
        yield stream
    except BaseException:
        process.close()  # it may be within an answer, or decode ahead
        raise
    pool.give_back(process)
