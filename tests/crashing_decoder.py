"""A decoder process that dies, hangs or eats memory at streams with a marker, as a faulty library does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from medrov_cli.core.pixels.decoder_process import STREAMS, TASKS, Decoded, main

COMMENT = b"\xff\xfe\x00\x0a"
"""Head of a comment of eight bytes, which JPEG-LS decoders skip."""

ABORT, SEGFAULT, HANG, MEMORY, EXIT = b"!abort!!", b"!segv!!!", b"!hang!!!", b"!memory!", b"!exit!!!"


def marked(stream: bytes, fault: bytes) -> bytes:
    """Return a JPEG or JPEG-LS stream with a comment that names a fault."""
    return stream[:2] + COMMENT + fault + stream[2:]


def _faulty(decode: Callable[[bytes, Mapping[str, Any]], Decoded]) -> Callable[..., Decoded]:
    def decode_or_die(data: bytes, options: Mapping[str, Any]) -> Decoded:
        if ABORT in data:
            os.abort()
        if SEGFAULT in data:
            os.kill(os.getpid(), signal.SIGSEGV)
        if EXIT in data:
            os._exit(0)
        if MEMORY in data:
            bytearray(1 << 40)
        while HANG in data:
            pass
        return decode(data, options)

    return decode_or_die


def _faulty_stream(decode: Callable[..., Iterator[Decoded]]) -> Callable[..., Iterator[Decoded]]:
    """Return a stream that fails after its head; the marker is in the data or in the name of the file."""

    def decode_or_die(data: bytes, options: Mapping[str, Any]) -> Iterator[Decoded]:
        stream = decode(data, options)
        yield next(stream)
        _faulty(lambda *_: (np.empty(0), {}))(data + options.get("path", "").encode(), options)
        yield from stream

    return decode_or_die


if __name__ == "__main__":
    STREAMS.update({name: _faulty_stream(decode) for name, decode in STREAMS.items()})
    main({name: _faulty(decode) for name, decode in TASKS.items()})
