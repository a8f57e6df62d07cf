"""Temporary files and folders outside of outputs, which a later process removes if theirs was killed.

They hold content of inputs (a video of an archive, an image of a JSON file), which must not stay on the disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from medrov_cli.core.base.locks import is_abandoned, try_lock

_PREFIX = "medrov-scratch-"
_YOUNG_S = 60.0
"""Age below which an entry may belong to a process that has not locked it yet."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder, and remove it after the body."""
    _remove_abandoned()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        descriptor = os.open(name, os.O_RDONLY) if os.name == "posix" else None
        try:
            if descriptor is not None:
                try_lock(descriptor)
            yield Path(name)
        finally:
            if descriptor is not None:
                os.close(descriptor)


@contextmanager
def scratch_file(suffix: str) -> Iterator[tuple[IO[bytes], str]]:
    """Yield an empty file, open to write, and its path; remove it after the body."""
    _remove_abandoned()
    with tempfile.NamedTemporaryFile(prefix=_PREFIX, suffix=suffix) as file:
        try_lock(file.fileno())
        yield file.file, file.name


def _remove_abandoned() -> None:
    """Remove what killed processes of this user have left."""
    if os.name != "posix":  # nothing is locked there
        return
    oldest = time.time() - _YOUNG_S
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            state = path.lstat()
            if state.st_uid != os.getuid() or state.st_mtime > oldest or not is_abandoned(path):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
