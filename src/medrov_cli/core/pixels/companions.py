"""Files that belong to an image file, by name: pairs of files, and data files that a header names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

_COMPRESSED = ("", ".gz", ".bz2", ".xz")
_HEADER, _VOXELS = ".hdr", ".img"


def header_of(path: str) -> str | None:
    """Return the ``.hdr`` file of an ``.img`` file; null for other names, and without such a file."""
    return _partner(path, _VOXELS, _HEADER)


def voxels_of(path: str) -> str | None:
    """Return the ``.img`` file of a ``.hdr`` file; null for other names, and without such a file."""
    return _partner(path, _HEADER, _VOXELS)


def _partner(path: str, own: str, other: str) -> str | None:
    """Return the file beside another one, with another ending; letter case and compression may differ."""
    folder, name = os.path.split(path)
    plain = next((e for e in _COMPRESSED if name.casefold().endswith(own + e)), None)
    if plain is None:
        return None
    stem = name[: len(name) - len(own + plain)]
    return next(find_files(folder, (stem + other + ending for ending in _COMPRESSED)), None)


def find_files(folder: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the files of a folder with some names; without one, the only one of another letter case."""
    present: dict[str, str] | None = None
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118 - the user's spelling
        if os.path.isfile(path):  # noqa: PTH113 - as above
            yield path
            continue
        if present is None:
            present = _by_folded_name(folder)
        if name.casefold() in present:
            yield os.path.join(folder, present[name.casefold()])  # noqa: PTH118 - as above


def _by_folded_name(folder: str) -> dict[str, str]:
    """Return the files of a folder by their name in lower case, without names that differ in case only."""
    names: dict[str, str | None] = {}
    try:
        entries = [entry.name for entry in os.scandir(folder or ".") if entry.is_file()]
    except OSError:
        return {}
    for name in entries:
        names[name.casefold()] = None if name.casefold() in names else name
    return {folded: name for folded, name in names.items() if name is not None}


def file_beside(header: str, name: str) -> str | None:
    """Return the file that a header names, in the folder of the header or below it; null without one.

    A name that leads elsewhere, as headers that were moved have, stands for the file of its last part:
    nothing outside the folder is read.
    """
    folder = os.path.dirname(header)  # noqa: PTH120 - the user's spelling
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or "\0" in name:
        return None
    inside = [part for part in parts if part != "."]
    if inside and ".." not in inside and not name.startswith(("/", "\\")) and ":" not in inside[0]:
        below = os.path.join(folder, *inside[:-1])  # noqa: PTH118 - the user's spelling
        found = next(find_files(below, (inside[-1],)), None)
        if found is not None and _is_below(found, folder):
            return found
    found = next(find_files(folder, (parts[-1],)), None)
    return found if found is not None and _is_below(found, folder) else None


def _is_below(path: str, folder: str) -> bool:
    """Return whether a file is in a folder, links followed, or is a link that lies in the folder itself."""
    parent = Path(os.path.dirname(path) or ".").resolve()  # noqa: PTH120 - the user's spelling
    return parent.is_relative_to(Path(folder or ".").resolve())
