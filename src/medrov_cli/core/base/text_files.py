"""Text files that other programs wrote: limits, encoding, null characters, halves of surrogate pairs.

The modules `documents`, `csv_files` and `xml_documents` beside this one, and `yaml_files` of the datasets,
parse these texts. No other module reads text from outside: ``tests/test_parsers.py`` lists the exceptions.

A byte order mark tells the encoding and is not part of the text. Without a mark, the text is UTF-8, or UTF-16
where its first characters are followed or preceded by zero bytes.

Escape sequences of JSON and YAML can make half of a surrogate pair, which no encoding can write. Python makes
U+DC80 to U+DCFF of the bytes of file names that are not UTF-8; they are valid in paths.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

LIST_BYTES = 256 << 20
"""Default limit of a text file: lists of paths or names, label files, tables."""

MOST_LEVELS = 64
"""Maximum depth of a document: a COCO segmentation is at depth 6."""

MOST_SHOWN = 60
"""Maximum number of characters of a key or place in a message."""

_MARKS = (  # UTF-32 first: its little-endian mark starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_PROBE_BYTES = 64
_PIECE_BYTES = 1 << 20


class DocumentError(ValueError):
    """Fault of a text from outside, as the end of a sentence: ``has a null character in line 3``.

    It names neither the file nor a value of it, only places and keys.
    """


def is_file(path: Path) -> bool:
    """Tell whether a path that another program wrote leads to a file.

    Unlike `pathlib.Path.is_file`, it returns false for each path that the system refuses, such as one that is
    too long.
    """
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder; see `is_file`."""
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: Path) -> bool:
    """Tell whether a path leads to a file or a folder; see `is_file`."""
    return os.path.exists(path)  # noqa: PTH110


def read_content(path: Path, most_bytes: int = LIST_BYTES) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    OSError
        The file cannot be read.
    DocumentError
        It has more than ``most_bytes`` bytes, or its path has characters that no path can have.
    """
    try:
        stream = path.open("rb")
    except ValueError:  # a null character, or half of a surrogate pair
        raise DocumentError("has a path that is not valid") from None
    with stream:
        size_bytes = os.fstat(stream.fileno()).st_size
        if size_bytes > most_bytes:
            raise _too_large(most_bytes)
        return _read_pieces(stream, size_bytes, most_bytes)


def read_text(path: Path, most_bytes: int = LIST_BYTES) -> str:
    """Return the text of a file; see `decode_text`.

    Raises
    ------
    OSError
        The file cannot be read.
    DocumentError
        It is not text, is longer than the limit, or has a null character.
    """
    return _without_null(decode_text(read_content(path, most_bytes)))


def read_stream(stream: BinaryIO, most_bytes: int = LIST_BYTES) -> str:
    """Return the text of an open stream, such as standard input; see `read_text`."""
    return _without_null(decode_text(_read_pieces(stream, 0, most_bytes)))


def _without_null(text: str) -> str:
    at = text.find("\0")
    if at >= 0:
        raise DocumentError(f"has a null character in line {_line_of(text, at)}")
    return text


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file without blanks at their ends, and without empty ones; see `read_text`."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def decode_text(data: bytes) -> str:
    """Return a text without its byte order mark.

    Raises
    ------
    DocumentError
        The bytes are not text in UTF-8, nor in UTF-16 or UTF-32 with a mark.
    """
    encoding = next((own for mark, own in _MARKS if data.startswith(mark)), None) or _guess_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-SIG").removesuffix("-LE").removesuffix("-BE")
        if name == "UTF-8":
            line = data.count(b"\n", 0, error.start) + 1
            what = f"byte 0x{data[error.start]:02x} in line {line}"
        else:
            what = error.reason
        raise DocumentError(f"is not {name} text: {what}") from None


def is_encodable(text: str, errors: str = "strict") -> bool:
    """Return whether a text can be written as UTF-8."""
    try:
        text.encode(errors=errors)
    except UnicodeEncodeError:
        return False
    return True


def escaped(text: str) -> str:
    """Return a text in which surrogates are escape sequences, for names that come from file names."""
    return text.encode(errors="backslashreplace").decode()


def first_repeated(names: Iterable[str]) -> str | None:
    """Return the first name that stands twice; null if none does."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def shown_key(key: str) -> str:
    """Return a key for a message."""
    return repr(key if len(key) <= MOST_SHOWN else key[:MOST_SHOWN] + "...")


def too_deep() -> DocumentError:
    """Return the error of a document with too many levels."""
    return DocumentError(f"is nested more than {MOST_LEVELS} levels deep")


def no_memory() -> DocumentError:
    """Return the error of a document that needs more memory than there is."""
    return DocumentError("needs more memory than this machine has")


def _read_pieces(stream: BinaryIO, size_bytes: int, most_bytes: int) -> bytes:
    """Return what a stream holds; pipes and devices have a size of 0."""
    pieces = [stream.read(size_bytes)] if size_bytes else []
    total = sum(map(len, pieces))
    while piece := stream.read(_PIECE_BYTES):
        total += len(piece)
        if total > most_bytes:
            raise _too_large(most_bytes)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(most_bytes: int) -> DocumentError:
    return DocumentError(f"has more than {most_bytes >> 20} MiB, the limit of such a file")


def _line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _guess_encoding(data: bytes) -> str:
    """Return UTF-16 if every second byte of the first ones is zero, and the others are not; else UTF-8."""
    head = data[:_PROBE_BYTES]
    head = head[: len(head) // 2 * 2]
    even, odd = head[::2], head[1::2]
    if not head or (any(even) and any(odd)):
        return "utf-8"
    if all(even) and not any(odd):
        return "utf-16-le"
    return "utf-16-be" if all(odd) and not any(even) else "utf-8"
