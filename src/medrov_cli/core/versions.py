"""Versions of what a result may depend on."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable

from medrov_cli import __version__


def versions_of(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of medrov, Python and some packages; null for one that is not installed."""
    versions: dict[str, str | None] = {"medrov": __version__, "python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions
