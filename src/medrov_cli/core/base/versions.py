"""Versions of what a result may depend on."""

from __future__ import annotations

from collections.abc import Iterable

__version__ = "0.1.0"


def versions_of(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of medrov, Python and some packages; null for one that is not installed."""
    import importlib.metadata
    import platform

    versions: dict[str, str | None] = {"medrov": __version__, "python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions
