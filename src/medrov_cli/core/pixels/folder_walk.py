"""Walk through the folders below a folder, links included."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from medrov_cli.core.pixels.names import natural_key


def walk_folders(folder: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders below a folder, itself first, with the names of their files, in natural order.

    Links to folders are followed. Each folder is visited once: by its own path where it has one below
    ``folder``, otherwise by the first link to it.

    Parameters
    ----------
    folder
        Path, which begins all paths.
    wanted
        Whether a folder of some name is visited.
    """
    own = set()
    for parent, folders, _ in os.walk(folder):
        folders[:] = filter(wanted, folders)
        own.add(_identity(parent))
    visited = {_identity(folder)}
    for parent, folders, names in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(filter(wanted, folders), key=natural_key):
            path = os.path.join(parent, name)  # noqa: PTH118 - the user's spelling
            identity = _identity(path)
            is_elsewhere = os.path.islink(path) and identity in own  # noqa: PTH114 - as above
            if identity not in visited and not is_elsewhere:
                visited.add(identity)
                kept.append(name)
        folders[:] = kept
        yield parent, names


def _identity(path: str) -> tuple[int, int] | str:
    """Return device and number of a folder; the path where they cannot be read."""
    try:
        status = os.stat(path)  # noqa: PTH116 - the user's spelling
    except OSError:
        return path
    return status.st_dev, status.st_ino
