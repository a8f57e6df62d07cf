"""Compiled models on disk: compiling takes longer than the first image."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.base.files import whole_file

MOST_FILES = 16
"""Compiled models that are kept; the one that was not used for longest goes first."""

Compiled = TypeVar("Compiled")


class BlobCache:
    """One compiled model, kept under all that it depends on.

    Parameters
    ----------
    engine, version
        Who compiled it.
    key
        What the model depends on.
    config
        Settings it was compiled with.
    """

    def __init__(self, engine: str, version: str, key: str, config: Mapping[str, Any]) -> None:
        known = json.dumps([engine, version, key, config, platform.machine(), _cpu_flags()], sort_keys=True)
        self._folder = cache_dir() / "engines"
        self._path = self._folder / f"{engine}-{hashlib.sha256(known.encode()).hexdigest()[:32]}.blob"

    def load(self, read: Callable[[bytes], Compiled]) -> Compiled | None:
        """Return what ``read`` makes of the kept bytes; null without any, or if it cannot."""
        try:
            blob = self._path.read_bytes()
        except OSError:
            return None
        digest, blob = blob[:32], blob[32:]
        if hashlib.sha256(blob).digest() != digest:
            return None
        with suppress(OSError):
            self._path.touch()
        try:
            return read(blob)
        except RuntimeError:  # of another build of the engine, under the same version
            return None

    def keep(self, write: Callable[[], bytes]) -> None:
        """Keep what ``write`` gives. A folder that cannot be written is no failure: it is slower."""
        with suppress(OSError, MedrovError):
            blob = write()
            with whole_file(self._path) as temporary:
                temporary.write_bytes(hashlib.sha256(blob).digest() + blob)
            self._trim()

    def _trim(self) -> None:
        files = sorted(self._folder.glob("*.blob"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MOST_FILES]:
            path.unlink(missing_ok=True)


def _cpu_flags() -> str:
    """Return what the CPU can do, where the system tells: a shared cache may serve several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), "")
