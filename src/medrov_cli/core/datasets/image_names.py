"""Readings of the address of an image, as an annotation tool wrote it: paths with forward slashes.

An address may be a path of Windows or another machine, a URL, or have percent escapes.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from urllib.parse import parse_qsl, unquote, urlsplit

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # Label Studio puts this before the name of an uploaded file
_DRIVE = re.compile(r"^/*[A-Za-z]:(?=/)")
_ESCAPES = 3  # times that an address may have been escaped


def address_readings(address: str) -> tuple[str, ...]:
    """Return the paths that an address may mean, the most likely one first.

    ``/data/local-files/?d=set/images/a%20b.png`` means ``set/images/a b.png`` first. A path that leaves its
    beginning keeps its leading ``..``.
    """
    texts: list[str] = []
    for text in _texts(address):
        read = text
        for _ in range(_ESCAPES):
            texts.append(read)
            read = unquote(read)
    paths = [_plain(text) for text in texts]
    for path in list(paths):
        head, _, name = path.rpartition("/")
        if _UPLOADED.match(name):
            paths.append(posixpath.join(head, _UPLOADED.sub("", name)))
    return tuple(dict.fromkeys(path for path in paths if path.strip("/.")))


def leaves_folder(path: str) -> bool:
    """Tell whether a relative path leads out of the folder to which it is relative."""
    return path == ".." or path.startswith("../")


def fold_name(name: str) -> str:
    """Return a name without letter case, and with composed characters, for comparison."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _texts(address: str) -> list[str]:
    """Return the file that a query names, the plain text, and the path of a URL."""
    text = address.strip()
    try:
        parts = urlsplit(text)
        named = [value for _, value in parse_qsl(parts.query) if "." in value]
    except ValueError:
        return [text]
    if len(parts.scheme) > 1 and parts.netloc:
        return [*named, parts.path, text]
    return [*named, text, *([parts.path] if parts.scheme or parts.query or parts.fragment else [])]


def _plain(text: str) -> str:
    """Return a path with forward slashes and without a drive, ``.`` and inner ``..``."""
    path = _DRIVE.sub("", text.replace("\\", "/"))
    path = posixpath.normpath(path) if path else ""
    return "/" + path.lstrip("/") if path.startswith("/") else path
