"""Deflated data set as a stream that is inflated as far as it is read."""

from __future__ import annotations

import io
import zlib
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.budget import memory_limit_bytes
from medrov_cli.core.pixels.dicom.file_errors import too_large

_CHUNK_BYTES = 1 << 20
_MEMORY_BYTES = 64 << 20
"""Inflated bytes that are kept in memory; more are kept in a temporary file without a name."""


def _is_zlib(head: bytes) -> bool:
    """Return whether a stream begins with zlib's header of the largest window (RFC 1950)."""
    return len(head) == 2 and head[0] == 0x78 and int.from_bytes(head, "big") % 31 == 0


class InflatedStream(io.RawIOBase):
    """Seekable content of a raw deflate stream (PS3.5, A.5), or of one that a writer put into zlib's format.

    Parameters
    ----------
    file
        At the start of the deflated data; it must stay open, and its position is used.
    limits
        Largest number of inflated bytes; the budget of memory is a limit, too.
    """

    def __init__(self, file: BinaryIO, limits: InputLimits) -> None:
        self._file = file
        self._limit = min(limits.inflated_bytes, memory_limit_bytes())
        head = file.read(2)
        file.seek(-len(head), io.SEEK_CUR)
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(head) else -zlib.MAX_WBITS)
        self._content = cast(BinaryIO, SpooledTemporaryFile(max_size=_MEMORY_BYTES))  # noqa: SIM115 - closed below
        self._length = 0
        self._at = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to the size of the buffer; return the number of bytes.

        Raises
        ------
        EOFError
            The deflated data end before their last block.
        zlib.error
            They are damaged.
        MedrovError
            ``too_large``.
        """
        view = memoryview(buffer).cast("B")
        try:
            self._inflate(self._at + len(view))
        except EOFError:
            if self._length <= self._at:  # what was inflated before is valid
                raise
        self._content.seek(self._at)
        data = self._content.read(len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the position; return it. The end is known once everything is inflated."""
        if whence == io.SEEK_END:
            self._inflate(None)
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def close(self) -> None:
        """Remove the inflated bytes."""
        self._content.close()
        super().close()

    def _inflate(self, end: int | None) -> None:
        """Inflate up to a position; null: to the end."""
        self._content.seek(self._length)
        while not self._inflater.eof and (end is None or self._length < end):
            packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK_BYTES)
            if not packed:
                raise EOFError
            data = self._inflater.decompress(packed, _CHUNK_BYTES)
            self._length += len(data)
            if self._length > self._limit:
                raise too_large(f"inflates to more than {self._limit} bytes")
            self._content.write(data)
