"""Keep a thread's stack for signal handlers from libraries that exchange it.

OpenVINO's CPU plug-in gives the thread that compiles a model a signal stack that belongs to that model. Of
two models, the one that is freed last puts back the other's, which is gone by then: the next signal that
Python handles (a Ctrl-C, the end of a child process) finds no stack, and the system kills the process.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_STACK_T_BYTES = 64
"""More than a ``stack_t`` has on any system; what is in it is only put back."""


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Give the thread back, after the body, the signal stack that it had before."""
    if os.name != "posix":
        yield
        return
    exchange = ctypes.CDLL(None).sigaltstack
    before = ctypes.create_string_buffer(_STACK_T_BYTES)
    is_known = exchange(None, before) == 0
    try:
        yield
    finally:
        if is_known:
            exchange(before, None)
