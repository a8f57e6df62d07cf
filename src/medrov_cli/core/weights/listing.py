"""Weights of the manifest and their state on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from medrov_cli.core.weights import catalogue, container, resolution
from medrov_cli.core.weights.catalogue import ManifestEntry
from medrov_cli.core.weights.number_formats import NumberFormats, read_formats


class Availability(StrEnum):
    """Location of the file of a manifest entry."""

    PRESENT = "present"
    TO_PULL = "to_pull"
    MISSING = "missing"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of the manifest, its state on this machine, and its number formats (null: not measured)."""

    entry: ManifestEntry
    availability: Availability
    path: Path | None
    formats: NumberFormats | None = None


def list_weights() -> tuple[Listed, ...]:
    """Return the weights of the manifest, with a check of the SHA-256 of installed ones.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt`` for the manifest itself.
    """
    return tuple(listed_entry(entry) for entry in catalogue.manifest().values())


def listed_entry(entry: ManifestEntry) -> Listed:
    """Return an entry with its state on this machine."""
    path = resolution.locate(entry)
    if path is None:
        return Listed(entry, Availability.MISSING if entry.url is None else Availability.TO_PULL, None)
    is_whole = container.sha256_of(path, reread=True) == entry.sha256
    if not is_whole:
        return Listed(entry, Availability.CORRUPT, path)
    return Listed(entry, Availability.PRESENT, path, read_formats(path))
