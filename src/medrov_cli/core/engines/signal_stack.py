"""Protection of a thread's signal stack from libraries that replace it.

OpenVINO's CPU plug-in sets the signal stack of the thread that compiles a model to memory of that model. Of
two models, the one that is freed last restores the stack of the other, which no longer exists. The next
signal (a Ctrl-C, the end of a child process) then has no stack, and the system kills the process.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_STACK_T_BYTES = 64
"""Upper bound of the size of ``stack_t`` on all systems; its content is only restored."""


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Restore the signal stack of the thread after the body."""
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
