"""Memory that this process may use: of the machine, of its control group, and of its address space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_FALLBACK_BYTES = 4 * 1024**3
"""Size where the system does not report one."""


def usable_memory_bytes(groups: Path = _GROUPS, own_groups: Path = _OWN_GROUPS) -> int:
    """Return the smallest of physical memory, limits of the control groups, and limits of the process.

    The value does not depend on what other programs use, so that equal runs have equal limits.
    """
    found = [_physical_bytes(), *_group_limits(groups, own_groups), *_process_limits()]
    return min((size for size in found if size > 0), default=_FALLBACK_BYTES)


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0


def _group_limits(groups: Path, own_groups: Path) -> Iterator[int]:
    """Yield the limits of the control groups of this process, of version 2 and 1, and of their parents."""
    try:
        lines = own_groups.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            root, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        relative = PurePosixPath(path.lstrip("/"))
        for folder in (relative, *relative.parents):
            yield _read_limit(root / folder / name)


def _read_limit(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):  # absent, or "max"
        return 0


def _process_limits() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            yield soft
