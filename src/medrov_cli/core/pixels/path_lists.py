"""Lists of paths on standard input."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.text_files import DocumentError, decode_text

_PATH_BYTES = 1 << 20
"""Longest path: a longer one shows that the list is something else."""
_READ_BYTES = 1 << 16
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WIDE_LIST_BYTES = 256 << 20
"""Largest list in UTF-16, which is read as a whole."""


def read_paths(stdin: Iterable[str], *, ends_with_null: bool = False) -> Iterator[str]:
    """Yield the paths of a list as they are read: one per line, or each before a null character.

    Parameters
    ----------
    stdin
        Standard input, or lines. A byte order mark of standard input tells its encoding; otherwise it is
        UTF-8, and bytes of file names that are no UTF-8 are kept.
    ends_with_null
        Whether a null character ends each path, so that a path may contain line ends.

    Raises
    ------
    MedrovError
        ``usage`` if a path, or a list in UTF-16, is too long.
    """
    buffer: BinaryIO | None = getattr(stdin, "buffer", None)
    if buffer is None:
        text = "".join(stdin).removeprefix("\ufeff")
        yield from _paths(text.split("\0" if ends_with_null else "\n"), ends_with_null)
        return
    first = buffer.read(_READ_BYTES)
    if _is_wide(first, ends_with_null):
        text = _decode_wide(first + buffer.read(_WIDE_LIST_BYTES + 1 - len(first)))
        yield from _paths(text.split("\0" if ends_with_null else "\n"), ends_with_null)
        return
    pieces = _split(first.removeprefix(codecs.BOM_UTF8), buffer, b"\0" if ends_with_null else b"\n")
    yield from _paths((piece.decode(errors="surrogateescape") for piece in pieces), ends_with_null)


def _paths(pieces: Iterable[str], ends_with_null: bool) -> Iterator[str]:
    if ends_with_null:
        return filter(None, pieces)
    lines = (line.rstrip("\r") for line in pieces)
    return (line for line in lines if line.strip())


def _split(start: bytes, buffer: BinaryIO, end: bytes) -> Iterator[bytes]:
    """Yield the parts of a stream between separators."""
    rest = start
    while True:
        *pieces, rest = rest.split(end)
        yield from pieces
        if len(rest) > _PATH_BYTES:
            raise usage_error(
                f"The list of paths has a path of more than {_PATH_BYTES} bytes.",
                "Give a text with one path a line, or --null for paths that a null character ends.",
            )
        more = buffer.read(_READ_BYTES)
        if not more:
            yield rest
            return
        rest += more


def _is_wide(start: bytes, ends_with_null: bool) -> bool:
    """Return whether a list is in UTF-16: by its mark; without one, null characters show it."""
    if start.startswith(_WIDE_MARKS):
        return True
    # Without a mark, null characters between short paths could be those of UTF-16.
    if ends_with_null or start.startswith(codecs.BOM_UTF8):
        return False
    return b"\0" in start


def _decode_wide(data: bytes) -> str:
    if len(data) > _WIDE_LIST_BYTES:
        raise usage_error(
            f"The list of paths in UTF-16 has more than {_WIDE_LIST_BYTES} bytes.",
            "Write it in UTF-8, or divide it.",
        )
    try:
        return decode_text(data)
    except (UnicodeDecodeError, DocumentError):
        return data.decode(errors="surrogateescape")
