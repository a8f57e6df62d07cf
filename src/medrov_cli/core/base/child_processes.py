"""Processes that run a module of this package, and their limits of memory and of processor time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


def module_command(module: str) -> list[str]:
    """Return the command that runs a module of this package in this interpreter."""
    return [sys.executable, "-P", "-m", module]


def module_environment() -> dict[str, str]:
    """Return the environment of `module_command`, in which this package is found."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def limit_address_space(memory_bytes: int) -> None:
    """Limit what this process maps from now on, in addition to what it has mapped."""
    mapped = _address_bytes()
    if mapped:
        _lower("RLIMIT_AS", mapped + memory_bytes)


def limit_data(memory_bytes: int) -> None:
    """Limit the writable memory of this process.

    Reserved addresses do not count, in contrast to `limit_address_space`: each thread reserves many.
    """
    _lower("RLIMIT_DATA", memory_bytes)


def limit_cpu(cpu_seconds: int) -> None:
    """Limit the processor time of this process from now on; the kernel ends it behind the limit."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower("RLIMIT_CPU", int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds)


def end_first() -> None:
    """Make this process the one that the kernel ends if the memory of the machine is exhausted."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("1000")
    except OSError:
        return


def _lower(name: str, value: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _address_bytes() -> int:
    """Return the size of the address space of this process; 0 if the system does not report it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
