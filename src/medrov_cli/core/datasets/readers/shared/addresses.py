"""From the address of an image, as an annotation tool has it, to the file on this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from medrov_cli.core.base.errors import ErrorCode, MedrovError

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts this before the name of an uploaded file
_HINT = "Give --images, the folder with the file names of the annotations."


def local_names(address: str) -> tuple[str, ...]:
    """Return what a file may be called below the folder of images, the most likely name first.

    ``/data/local-files/?d=set/images/a%20b.png`` may be ``set/images/a b.png``, ``images/a b.png`` or
    ``a b.png``; ``/data/upload/1/0123abcd-a.png`` may also be ``a.png``.
    """
    names: list[str] = []
    for text in _paths(address):
        parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
        if ".." in parts or not parts:
            continue
        names += ["/".join(parts[start:]) for start in range(len(parts))]
        if _UPLOADED.match(parts[-1]):
            names.append(_UPLOADED.sub("", parts[-1]))
    return tuple(dict.fromkeys(names))


def find_image(folder: Path, names: Sequence[str]) -> Path:
    """Return the first file that is there.

    Raises
    ------
    MedrovError
        ``NOT_FOUND``.
    """
    for name in names:
        path = folder / PurePosixPath(name)
        if path.is_file():
            return path
    raise MedrovError(ErrorCode.NOT_FOUND, "The image of the annotations is missing.", _HINT)


def _paths(address: str) -> list[str]:
    """Return the readings of an address: the file that a query names, the path, and the plain text."""
    try:
        parts = urlsplit(address)
        named = parse_qs(parts.query).get("d", [])
    except ValueError:
        return [address]
    return [*named, unquote(parts.path), address]
