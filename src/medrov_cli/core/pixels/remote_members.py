"""Names of images that were retrieved from a service, and the archive members with their bytes."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "dicomweb:"
"""Start of an input that is retrieved by DICOMweb."""

_members: dict[str, tuple[str, str]] = {}


def add_members(archive: str, names: Mapping[str, str]) -> None:
    """Register the members of a retrieved archive, by the name of each image."""
    _members.update({path: (archive, member) for path, member in names.items()})


def remote_member(path: str) -> tuple[str, str] | None:
    """Return the archive and the member of a retrieved image; null for another path."""
    return _members.get(path)
