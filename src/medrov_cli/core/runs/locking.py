"""Locks that end with the process that holds them, however it ends.

``flock`` is used rather than a lock file: a killed process leaves nothing behind that the next run would
have to judge. On Windows, and on file systems without such locks, nothing is locked.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from weakref import WeakSet

from medrov_cli.core.base.errors import MedrovError, usage_error

if sys.platform != "win32":
    import fcntl


class FolderLock:
    """Exclusive lock of a folder; writes no file.

    Parameters
    ----------
    path
        An existing folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Lock the folder, unless this object holds the lock.

        Raises
        ------
        MedrovError
            ``USAGE`` if another process, or another object of this one, holds it.
        """
        if sys.platform == "win32" or self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            lock_descriptor(descriptor, self._path)
        except MedrovError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _HELD.add(self)

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_descriptor(descriptor: int, folder: Path) -> None:
    """Lock an open file or folder.

    Parameters
    ----------
    descriptor
        Closing its last copy releases the lock.
    folder
        Output folder, for the message.

    Raises
    ------
    MedrovError
        ``USAGE`` if it is locked already.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise usage_error(
            f"--output {folder}: another process is writing there",
            "Wait for it, or give another --output (one per shard).",
        ) from error
    except OSError:
        return  # a file system without locks


_HELD: WeakSet[FolderLock] = WeakSet()


def _release_in_child() -> None:
    """Close the copies that a fork makes: a worker that outlives its parent would keep the lock."""
    for lock in list(_HELD):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
