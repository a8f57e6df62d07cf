"""Cache of compiled models on disk, because compilation takes longer than the first image."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from medrov_cli.core.base.constants import MAX_COMPILED
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import MedrovError, warn_of_cache
from medrov_cli.core.base.files import whole_file

COMPILED_FOLDER = "engines"
"""Folder of compiled models in the cache."""

COMPILED_SUFFIX = ".blob"

Compiled = TypeVar("Compiled")


class CompiledModelCache:
    """Stored compiled model, with a key of everything that it depends on.

    Parameters
    ----------
    engine, version
        Engine that compiled it, and its version.
    key
        Everything that the model depends on.
    config
        Settings of the compilation.
    """

    def __init__(self, engine: str, version: str, key: str, config: Mapping[str, Any]) -> None:
        known = json.dumps([engine, version, key, config, platform.machine(), _cpu_flags()], sort_keys=True)
        self._folder = cache_dir() / COMPILED_FOLDER
        self._path = (
            self._folder / f"{engine}-{hashlib.sha256(known.encode()).hexdigest()[:32]}{COMPILED_SUFFIX}"
        )

    def load(self, read: Callable[[bytes], Compiled]) -> Compiled | None:
        """Return the result of ``read`` on the stored bytes; null without them, or if ``read`` fails."""
        try:
            blob = self._path.read_bytes()
        except OSError:
            return None
        digest, blob = blob[:32], blob[32:]
        if hashlib.sha256(blob).digest() != digest:
            warn_of_cache(f"the compiled model in {self._path} is damaged and is made again")
            with suppress(OSError):
                self._path.unlink()
            return None
        with suppress(OSError):
            self._path.touch()
        try:
            return read(blob)
        except RuntimeError:  # from another build of the same version of the engine
            return None

    def keep(self, write: Callable[[], bytes]) -> None:
        """Store the bytes that ``write`` returns; a read-only folder is not an error."""
        with suppress(OSError, MedrovError):
            blob = write()
            with whole_file(self._path) as temporary:
                temporary.write_bytes(hashlib.sha256(blob).digest() + blob)
            self._trim()

    def _trim(self) -> None:
        files = sorted(self._folder.glob(f"*{COMPILED_SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MAX_COMPILED]:
            path.unlink(missing_ok=True)


def _cpu_flags() -> str:
    """Return the flags of the CPU, if the system reports them, because machines may share a cache."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("flags")), "")
