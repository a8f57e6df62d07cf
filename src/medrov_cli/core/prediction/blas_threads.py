"""Products of small matrices on one thread.

The threads of a BLAS library wait actively after a product, and occupy the cores of the network. The command
line limits them before numpy is imported (``cli.py``); a predictor in another program while it computes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_VARIABLE = "OPENBLAS_NUM_THREADS"
_limited = threading.Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS libraries to one thread in the body.

    The limit is one of the process. A body that begins within that of another thread leaves it alone, because
    only the thread that has set it can restore it.
    """
    if os.environ.get(_VARIABLE) == "1" or not _limited.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1):
            yield
    finally:
        _limited.release()


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController  # its search takes 20 ms

    return ThreadpoolController().select(user_api="blas")
