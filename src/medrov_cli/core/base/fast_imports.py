"""Imports without garbage collection.

An import allocates many objects that all stay. The collector would look at them again and again, which takes
a tenth of the time of a short command.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection(*, freeze: bool = False) -> Iterator[None]:
    """Switch the garbage collector off in the body.

    Parameters
    ----------
    freeze
        Whether the objects that exist at the end are never looked at again; only while nothing else runs.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if freeze:
            gc.freeze()
        if was_enabled:
            gc.enable()
