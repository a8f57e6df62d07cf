"""Order and visibility of file names."""

from __future__ import annotations

import re

_MOST_DIGITS = 100  # of a number in a name; longer ones are texts
_SKIPPED_FOLDERS = frozenset({"__MACOSX"})
_SKIPPED_NAMES = re.compile(r"dicomdir(?:;\d+)?")
"""Names of files that are skipped: a DICOMDIR is the index of a medium, whose images are separate files. ISO
9660 adds a version number."""


def natural_key(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a sort key that places ``slice_2`` before ``slice_10``, without regard to case."""
    parts = re.split(r"(\d+)", text.casefold())
    return tuple(
        (0, int(part), "") if part.isdecimal() and len(part) <= _MOST_DIGITS else (1, 0, part)
        for part in parts
        if part
    ), text


def is_shown(name: str) -> bool:
    """Return whether a file or folder is searched: it is not hidden, and no index of a medium."""
    if name.startswith(".") or name in _SKIPPED_FOLDERS:
        return False
    return _SKIPPED_NAMES.fullmatch(name.casefold()) is None
