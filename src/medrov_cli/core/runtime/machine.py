"""What the machine gives to an engine."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return the cores that this process may use: ``OMP_NUM_THREADS``, else those it is bound to."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
