"""Locks of output folders that end with their process, also after a kill."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from weakref import WeakSet

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.locks import busy_error, try_lock


class FolderLock:
    """Lock of a folder; writes no file.

    Parameters
    ----------
    path
        An existing folder.
    is_shared
        Whether other shared locks may be held at the same time.
    """

    def __init__(self, path: Path, *, is_shared: bool = False) -> None:
        self._path = path
        self._is_shared = is_shared
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Lock the folder, unless this object holds the lock.

        Raises
        ------
        MedrovError
            ``USAGE`` if another process, or another object of this one, holds a lock that excludes it.
        """
        if sys.platform == "win32" or self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            lock_descriptor(descriptor, self._path, is_shared=self._is_shared)
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


def lock_descriptor(descriptor: int, folder: Path, *, is_shared: bool = False) -> None:
    """Lock an open file or folder.

    Parameters
    ----------
    descriptor
        Closing its last copy releases the lock.
    folder
        Output folder, for the message.
    is_shared
        Whether other shared locks may be held at the same time.

    Raises
    ------
    MedrovError
        ``USAGE`` if it is locked already.
    """
    if try_lock(descriptor, is_shared=is_shared) is False:
        raise busy_error(folder)


_HELD: WeakSet[FolderLock] = WeakSet()


def _release_in_child() -> None:
    """Close the copies that a fork makes: a worker that outlives its parent would keep the lock."""
    for lock in list(_HELD):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
