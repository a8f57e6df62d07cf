"""Environment variables, the cache folder and the usable cores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path


def is_offline(flag: bool = False) -> bool:
    """Return whether the network is forbidden, by ``flag`` or ``MEDROV_OFFLINE``."""
    return flag or os.environ.get("MEDROV_OFFLINE", "").lower() not in ("", "0", "false", "no")


def cache_dir() -> Path:
    """Return the path of medrov's cache folder: ``MEDROV_CACHE``, or a folder in the user's cache."""
    override = os.environ.get("MEDROV_CACHE")
    if override:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "medrov"


_LIBRARY_FOLDERS = {
    "CUDA_CACHE_PATH": "cuda",
    "MPLCONFIGDIR": "matplotlib",
    "PYTORCH_KERNEL_CACHE_PATH": "torch/kernels",
    "TORCHINDUCTOR_CACHE_DIR": "torch/inductor",
    "TORCH_EXTENSIONS_DIR": "torch/extensions",
    "TRITON_CACHE_DIR": "triton",
}
"""Folder in medrov's cache for each variable of a library that otherwise writes to the user's home, or to the
folder of temporary files."""


def keep_library_files() -> None:
    """Set the variables of libraries that move their files to medrov's cache; a value of the user stays."""
    for name, folder in _LIBRARY_FOLDERS.items():
        os.environ.setdefault(name, str(cache_dir() / folder))


@contextlib.contextmanager
def changed_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Run the body with changed environment variables, and restore them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def usable_cores() -> int:
    """Return the cores that this process may use: ``OMP_NUM_THREADS``, else those it is bound to."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers_for(device: str, processes: int = 1) -> int:
    """Return the number of worker processes that load batches for one training process.

    A GPU waits for batches, so that it has up to eight workers. On a CPU they take cores from the network:
    the measured optimum is no worker on two cores, and one or two on many cores.

    Parameters
    ----------
    device
        Torch's type of the device.
    processes
        Number of training processes on this machine.
    """
    cores = (os.cpu_count() or 1) // processes
    return min(cores // 4, 2) if device == "cpu" else min(cores, 8)
