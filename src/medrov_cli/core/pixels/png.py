"""Chunks of PNG files: what is needed for the pixels, so that other chunks cannot prevent their reading.

Text and colour profiles are not decompressed. An ancillary chunk with a wrong checksum is left out, with a
warning, as libpng does (PNG specification, error handling).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container, Mapping
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DAMAGED_WARNING = "The PNG file has damaged chunks that the pixels do not need; they were left out."

_NEEDED = frozenset({b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"})
_CHUNK_BYTES = 1 << 16
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})


def read_chunks(file: BinaryIO, kinds: Container[bytes]) -> dict[bytes, bytes]:
    """Return the content of the first chunk of some kinds in a PNG file, each up to 64 KiB."""
    found: dict[bytes, bytes] = {}
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        following = file.tell() + length + 4
        if kind in kinds and kind not in found:
            found[kind] = file.read(min(length, _CHUNK_BYTES))
        file.seek(following)
    return found


def is_animated(chunks: Mapping[bytes, bytes]) -> bool:
    """Return whether the chunk ``acTL`` states several frames."""
    return int.from_bytes(chunks.get(b"acTL", b"")[:4], "big") > 1


def needed_chunks(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a PNG file with the chunks for pixels, transparency, orientation and animation, and warnings.

    Raises
    ------
    EOFError
        If the file ends before its last chunk.
    """
    chunks, damaged = [], set()
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if at + 8 > len(data):
            raise EOFError
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        is_ancillary = bool(kind[:1].islower())
        if end > len(data) and kind != b"IEND":
            raise EOFError
        if is_ancillary and struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(data[at + 4 : end - 4]):
            damaged.add(kind)
        elif kind != b"IEND" and (not is_ancillary or kind in _NEEDED):
            chunks.append((kind, data[at:end]))
        at = end
    without = _ANIMATION if damaged & _ANIMATION else frozenset()
    parts = [chunk for kind, chunk in chunks if kind not in without]
    whole = b"".join((SIGNATURE, *parts, b"\0\0\0\0IEND", struct.pack(">I", zlib.crc32(b"IEND"))))
    return whole, (DAMAGED_WARNING,) if damaged else ()
