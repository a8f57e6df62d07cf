"""Versions of packages that may influence a result."""

from __future__ import annotations

from collections.abc import Iterable

__version__ = "0.1.0"

_RESULT_PACKAGES = ("torch", "opencv-python", "numpy", "pydicom")
"""Packages whose versions influence the last digit of a result."""

_SAME_MODULE = {"opencv-python": "opencv-python-headless"}
"""Packages with the same module; the lean installation contains the second one, which needs no display."""


def versions_of(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of medrov, Python and some packages; null for one that is not installed."""
    import platform

    versions: dict[str, str | None] = {"medrov": __version__, "python": platform.python_version()}
    return {**versions, **{name: version_of(name) for name in packages}}


def package_versions() -> dict[str, str | None]:
    """Return the versions of this program and of packages that influence a result."""
    return {"medrov": __version__, **{name: version_of(name) for name in _RESULT_PACKAGES}}


def version_of(package: str) -> str | None:
    """Return the version of a package, or of the one with the same module; null if none is installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return version_of(_SAME_MODULE[package]) if package in _SAME_MODULE else None
