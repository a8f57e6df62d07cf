"""Addresses of object stores, ``SCHEME://REST``, and their file systems by fsspec."""

from __future__ import annotations

import re
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.optional import require_packages

_PACKAGES = {
    "s3": ("fsspec", "s3fs"),
    "gs": ("fsspec", "gcsfs"),
    "file": ("fsspec",),
    "memory": ("fsspec",),
}
"""Packages of each scheme."""

_OVER_NETWORK = frozenset({"s3", "gs"})

_JOINED = re.compile(rf"({'|'.join(_PACKAGES)}):/+")
"""Start of an address in a path: pathlib joins the slashes."""


def is_address(path: str) -> bool:
    """Return whether a path is the address of an object or a folder on a store."""
    return path.partition("://")[0] in _PACKAGES and "://" in path


def split_address(path: str) -> tuple[str, str]:
    """Return scheme with ``://``, and the rest of an address."""
    scheme, _, rest = path.partition("://")
    return f"{scheme}://", rest


def address_of(path: object) -> str | None:
    """Return the address that a path of pathlib was made from; null for a path of a disk."""
    text = str(path)
    match = _JOINED.match(text)
    if match is None:
        return None
    scheme, rest = match[1], text[match.end() :]
    return f"{scheme}://{'/' if scheme == 'file' else ''}{rest}"


def check_address(address: str, *, offline: bool, what: str = "an input") -> None:
    """Refuse an address with credentials, one that needs the network while offline, or a missing package.

    Parameters
    ----------
    address
        The address.
    offline
        Whether the network is forbidden.
    what
        What the address is, for messages.

    Raises
    ------
    MedrovError
        ``USAGE``, ``NETWORK_FORBIDDEN``, ``DEPENDENCY_MISSING``.
    """
    scheme, _, rest = address.partition("://")
    if "@" in rest.partition("/")[0]:
        raise usage_error(
            f"{what} {scheme}:// has credentials in its address",
            "Give them in the environment or a profile, as the library of the store reads them.",
        )
    if offline and scheme in _OVER_NETWORK:
        raise MedrovError(
            ErrorCode.NETWORK_FORBIDDEN,
            f"{what} {scheme}:// needs the network, which is forbidden",
            "Run without --offline and MEDROV_OFFLINE.",
        )
    require_packages(f"{what} {scheme}://", _PACKAGES[scheme])


def open_file_system(address: str) -> Any:
    """Return the file system of an address: an ``fsspec.AbstractFileSystem``."""
    import importlib

    return importlib.import_module("fsspec").filesystem(address.partition("://")[0])
