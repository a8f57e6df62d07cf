"""Expansion of command arguments to the list of files to read, in a fixed order."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.sniff import Kind, kind_of_name, sniff

STDIN = "-"
"""Argument for a list of paths on standard input."""

_SKIPPED_FOLDERS = frozenset({"__MACOSX"})
_SKIPPED_NAMES = frozenset({"dicomdir"})
"""Names of files that are skipped: a DICOMDIR is the index of a medium, whose images are separate files."""


@dataclass(frozen=True, slots=True)
class Input:
    """File to read.

    Attributes
    ----------
    path
        As given by the user, or as found below a given folder. It need not exist:
        reading then fails with ``not_found``.
    """

    path: str


def expand_inputs(arguments: Sequence[str], *, stdin: Iterable[str] | None = None) -> list[Input]:
    """List the files of the arguments, each once, in a deterministic order.

    - A file, or a name that does not exist, is kept: reading it succeeds or fails later.
    - A folder is searched recursively, in natural order of names. DICOM files of one folder are
      grouped by series and ordered by position. Hidden files, and files that are images neither
      by content nor by name (``.json``, ``.txt``, ...), are left out. A folder
      without any image is one input, which then fails.
    - A pattern (``*``, ``?``, ``[...]``, ``**``) that names no existing file is expanded.
    - ``-`` means the paths in ``stdin``, one per line, without patterns.

    Parameters
    ----------
    arguments
        As given on the command line.
    stdin
        Lines of standard input; required only if ``-`` is among the arguments.

    Raises
    ------
    MedrovError
        ``usage`` if ``-`` is given without a ``stdin``.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        for path in _expand(argument, stdin):
            found.setdefault(os.path.normpath(path), Input(path))
    return list(found.values())


def _expand(argument: str, stdin: Iterable[str] | None) -> Iterator[str]:
    if argument != STDIN:
        yield from _expand_path(argument, patterns=True)
        return
    if stdin is None:
        raise MedrovError(
            ErrorCode.USAGE,
            "'-' was given, but there is no standard input to read paths from.",
            "Pipe a list of paths into the command, one a line.",
        )
    for line in stdin:
        path = line.rstrip("\r\n")
        if path.strip():
            yield from _expand_path(path, patterns=False)


def _expand_path(path: str, *, patterns: bool) -> Iterator[str]:
    if "\0" in path:
        yield path
    elif os.path.isdir(path):  # noqa: PTH112 - Path() would rewrite the name that the user gave
        yield from _walk(path)
    elif patterns and glob.has_magic(path) and not os.path.lexists(path):
        matches = sorted(glob.glob(path, recursive=True), key=natural_key)  # noqa: PTH207 - keeps the user's spelling
        for match in matches:
            yield from _expand_path(match, patterns=False)
        if not matches:
            yield path
    else:
        yield path


def _walk(folder: str) -> Iterator[str]:
    """Yield the image files below ``folder``; the folder itself if there are none."""
    empty = True
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted((name for name in folders if _is_shown(name)), key=natural_key)
        files = sorted((name for name in names if _is_shown(name)), key=natural_key)
        for path in _ordered([os.path.join(parent, name) for name in files]):  # noqa: PTH118 - user's spelling
            empty = False
            yield path
    if empty:
        yield folder


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name not in _SKIPPED_FOLDERS and name.casefold() not in _SKIPPED_NAMES


def _ordered(paths: Sequence[str]) -> list[str]:
    """Return the image files of one folder, with each DICOM series in the order of its slices."""
    kinds = {path: _kind(path) for path in paths}
    dicom = [path for path in paths if kinds[path] is Kind.DICOM]
    if len(dicom) < 2:
        return [path for path in paths if kinds[path]]
    from medrov_cli.core.pixels.dicom.series import group_series

    rank = {path: number for number, path in enumerate(dicom)}
    series_at = {min(series, key=rank.__getitem__): series for series in group_series(dicom)}
    ordered: list[str] = []
    for path in paths:
        if kinds[path] is Kind.DICOM:
            ordered.extend(series_at.get(path, ()))
        elif kinds[path]:
            ordered.append(path)
    return ordered


def _kind(path: str) -> Kind | None:
    """Return the kind by content, else by name; null for a special file (pipe, device)."""
    try:
        by_content = sniff(path) if Path(path).is_file() else None
    except OSError:
        by_content = None
    return by_content or kind_of_name(path)


def visible_files(folder: Path, wanted: Callable[[Path], bool]) -> list[str]:
    """Return selected files below a folder, relative to it, in natural order.

    Hidden files and hidden folders are left out.
    """
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if wanted(path) and not any(part.startswith(".") for part in relative.parts):
            found.append(relative.as_posix())
    return sorted(found, key=natural_key)


def natural_key(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a sort key that places ``slice_2`` before ``slice_10``, without regard to case."""
    parts = re.split(r"(\d+)", text.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), text
