"""Locks of open files and folders that end with their process, also after a kill.

``flock`` is used instead of a lock file, because a killed process leaves no file behind. On Windows, and on
file systems without these locks, nothing is locked.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medrov_cli.core.base.errors import MedrovError, usage_error

if sys.platform != "win32":
    import fcntl

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def try_lock(descriptor: int, *, is_shared: bool = False) -> bool | None:
    """Lock an open file or folder, until its last copy is closed.

    Parameters
    ----------
    descriptor
        Descriptor of the file or folder.
    is_shared
        Whether other shared locks may be held at the same time.

    Returns
    -------
    bool | None
        Whether the lock was acquired; null if the file system has no such locks.
    """
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_abandoned(path: Path) -> bool | None:
    """Return whether no process holds a lock of a file; null if that is unknown, or the file is a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)


def busy_error(output: Path) -> MedrovError:
    """Return the error for an output that another process writes."""
    return usage_error(
        f"--output {output}: another process is writing there",
        "Wait for it, or give another --output (one per shard).",
    )


@contextmanager
def folder_beside(output: Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside an output, and remove it after the body.

    Its name depends on the output alone, and it is locked: one process at a time writes the output. The
    contents that a killed process left are removed.

    Raises
    ------
    MedrovError
        ``USAGE`` if another process has the folder, or a symbolic link has its name.
    OSError
        The folder cannot be written.
    """
    whole = Path(os.path.abspath(output))  # noqa: PTH100 - keeps links
    place = whole.parent / f".{whole.name}.tmp"
    descriptor = _locked_folder(place, output)
    if descriptor is None:  # no locks here: a name of its own, which stays after a kill
        with tempfile.TemporaryDirectory(prefix=f".{whole.name}.", dir=whole.parent) as name:
            yield Path(name)
        return
    try:
        for item in place.iterdir():
            _remove(item)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(place: Path, output: Path) -> int | None:
    """Create and lock a folder; return its descriptor, or null without locks."""
    if sys.platform == "win32":
        return None
    while True:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise usage_error(f"--output {output}: {place} is not a folder", "Remove it.")
        place.mkdir(exist_ok=True)
        try:
            descriptor = os.open(place, _FOLDER_FLAGS)
        except FileNotFoundError:
            continue  # the process that had it has removed it
        taken = try_lock(descriptor)
        with suppress(FileNotFoundError):
            if taken and os.path.samestat(os.fstat(descriptor), place.lstat()):
                return descriptor
        os.close(descriptor)
        if taken is False:
            raise busy_error(output)
        if taken is None:
            place.rmdir()
            return None


def _remove(item: Path) -> None:
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink()
