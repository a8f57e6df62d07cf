"""Environment variables, the cache folder and the usable cores."""

from __future__ import annotations

import os
from pathlib import Path


def is_offline(flag: bool = False) -> bool:
    """Tell whether the network is forbidden, by ``flag`` or ``MEDROV_OFFLINE``."""
    return flag or os.environ.get("MEDROV_OFFLINE", "").lower() not in ("", "0", "false", "no")


def cache_dir() -> Path:
    """Return our cache folder: ``MEDROV_CACHE``, or the user's cache folder. Not created."""
    override = os.environ.get("MEDROV_CACHE")
    if override:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "medrov"


def usable_cores() -> int:
    """Return the cores that this process may use: ``OMP_NUM_THREADS``, else those it is bound to."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers_for(device: str, processes: int = 1) -> int:
    """Return how many processes should make batches for one training process.

    A GPU waits for batches, so it gets up to eight. On a CPU they take cores from the network:
    of two cores none is left for them (measured), of many one or two are.

    Parameters
    ----------
    device
        Torch's type of it.
    processes
        Training processes on this machine.
    """
    cores = (os.cpu_count() or 1) // processes
    return min(cores // 4, 2) if device == "cpu" else min(cores, 8)
