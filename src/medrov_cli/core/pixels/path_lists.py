"""Lists of paths on standard input."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import BinaryIO

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.text_files import DocumentError, decode_text

_LIST_BYTES = 256 << 20
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_paths(stdin: Iterable[str], *, ends_with_null: bool = False) -> list[str]:
    """Return the paths of a list: one per line, or each before a null character.

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
        ``usage`` if the list is too long.
    """
    buffer: BinaryIO | None = getattr(stdin, "buffer", None)
    text = "".join(stdin).removeprefix("\ufeff") if buffer is None else _read_text(buffer, ends_with_null)
    if ends_with_null:
        return [path for path in text.split("\0") if path]
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return [line for line in lines if line.strip()]


def _read_text(buffer: BinaryIO, ends_with_null: bool) -> str:
    data = buffer.read(_LIST_BYTES + 1)
    if len(data) > _LIST_BYTES:
        raise usage_error(
            f"The list of paths has more than {_LIST_BYTES} bytes.", "Divide it, or give a folder."
        )
    try:
        # Without a mark, null characters between short paths could be those of UTF-16.
        is_plain = ends_with_null and not data.startswith(_MARKS)
        return data.decode() if is_plain else decode_text(data)
    except (UnicodeDecodeError, DocumentError):
        return data.removeprefix(codecs.BOM_UTF8).decode(errors="surrogateescape")
