"""Compression of files, by their first bytes. Standard library only."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from enum import StrEnum
from typing import IO

COMPRESSION_BYTES = 6
"""Bytes of a file that `compression_of` needs."""

_BZIP2_BYTES = 2_000_000
"""Bytes of a bzip2 file that hold its first block, before which nothing is decompressed."""


class Compression(StrEnum):
    """Compression of a file or of the data behind its header."""

    NONE = "raw"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZLIB = "zlib"


_MAGIC = ((b"\x1f\x8b", Compression.GZIP), (b"BZh", Compression.BZIP2), (b"\xfd7zXZ\x00", Compression.XZ))


def compression_of(head: bytes) -> Compression:
    """Return the compression of a file by its first bytes."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), Compression.NONE)


def read_start(file: IO[bytes], count: int) -> bytes:
    """Return the first bytes of a file, from its present position: `count`, and of bzip2 its first block.

    Fewer bytes if the file is shorter. Thus `inflate_head` finds content in files of each compression.
    """
    head = file.read(count)
    return head + file.read(_BZIP2_BYTES) if compression_of(head) is Compression.BZIP2 else head


def inflate_head(head: bytes, count: int) -> bytes:
    """Return the first bytes of the content of a gzip, bzip2 or xz file; other bytes as they are."""
    kind = compression_of(head)
    if kind is Compression.NONE:
        return head
    if kind is Compression.BZIP2:
        return _decompressed(bz2.BZ2Decompressor().decompress, head, count)
    if kind is Compression.XZ:
        return _decompressed(lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress, head, count)
    found = b""
    while compression_of(head) is Compression.GZIP and len(found) < count:  # a file may have several members
        member = zlib.decompressobj(wbits=31)
        found += _decompressed(member.decompress, head, count)
        head = member.unused_data
    return found


def _decompressed(decompress: Callable[[bytes, int], bytes], data: bytes, count: int) -> bytes:
    try:
        return decompress(data, count)
    except (zlib.error, lzma.LZMAError, OSError):
        return b""
