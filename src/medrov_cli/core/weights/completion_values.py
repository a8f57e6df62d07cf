"""Values for the completion of a shell: names of weights and of their classes, without numpy.

A completion never fails: what cannot be read has no values.
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.documents import parse_json, read_toml
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.weights.places import MANIFEST_FILE, weights_dir

_MAX_HEADER_BYTES = 16 << 20
_FAILURES = (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error)


def weights_names() -> dict[str, str]:
    """Return the names of the manifest with their sources."""
    return {str(entry["name"]): str(entry["source"]) for entry in _entries()}


def class_names(weights: str | None = None) -> list[str]:
    """Return the classes of the vocabulary of weights, by name or path; of the default weights if null."""
    with contextlib.suppress(*_FAILURES):
        path = _path_of(weights or DEFAULT_WEIGHTS)
        metadata = parse_json(_header(path)["__metadata__"]["medrov"])
        return [str(entry["name"]) for entry in metadata["vocabulary"]]
    return []


def _entries() -> list[dict[str, Any]]:
    with contextlib.suppress(*_FAILURES):
        return list(read_toml(weights_dir() / MANIFEST_FILE)["weights"])
    return []


def _path_of(name: str) -> Path:
    for entry in _entries():
        if entry["name"] == name:
            file = str(entry["file"])
            places = (weights_dir() / file, cache_dir() / "weights" / file)
            return next((place for place in places if place.is_file()), places[0])
    return Path(name)


def _header(path: Path) -> Any:
    """Return the header of a safetensors file: its length in 8 bytes, little-endian, then JSON."""
    with path.open("rb") as stream:
        (size_bytes,) = struct.unpack("<Q", stream.read(8))
        if size_bytes > _MAX_HEADER_BYTES:
            raise ValueError("header")
        return parse_json(stream.read(size_bytes))
