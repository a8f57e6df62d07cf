"""Voxel data of a file: raw or compressed bytes, whose number a header states.

No more than that number of bytes is decompressed, whatever the file contains behind them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import zlib
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import reserved_array
from medrov_cli.core.pixels.compression import Compression

_CHUNK_BYTES = 1 << 22
_INPUT_BYTES = 1 << 16
_AUTO_HEADER = 47
"""Window bits of zlib that accept the headers of zlib and of gzip."""


class _ZlibStream(io.RawIOBase):
    """Decompressed bytes of one zlib or gzip stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflater = zlib.decompressobj(_AUTO_HEADER)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        while not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_INPUT_BYTES)
            data = self._inflater.decompress(packed, len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            if not packed:
                break
        return 0


def open_stream(file: BinaryIO, compression: Compression) -> BinaryIO:
    """Return the decompressed bytes of a file from its present position on."""
    if compression is Compression.GZIP:
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))
    if compression is Compression.BZIP2:
        return cast(BinaryIO, bz2.BZ2File(file))
    if compression is Compression.XZ:
        return cast(BinaryIO, lzma.LZMAFile(file))
    if compression is Compression.ZLIB:
        return cast(BinaryIO, io.BufferedReader(_ZlibStream(file)))
    return file


def skip_bytes(stream: BinaryIO, count: int) -> None:
    """Read and drop bytes of a stream.

    Raises
    ------
    EOFError
        If it ends before.
    """
    while count > 0:
        read = len(stream.read(min(_CHUNK_BYTES, count)))
        if not read:
            raise EOFError
        count -= read


def fill(stream: BinaryIO, buffer: npt.NDArray[np.uint8]) -> None:
    """Read bytes of a stream until a buffer is full.

    Raises
    ------
    EOFError
        If the stream ends before.
    """
    view, filled = memoryview(buffer.data), 0
    while filled < len(buffer):
        count = cast(Any, stream).readinto(view[filled : filled + _CHUNK_BYTES])
        if not count:
            raise EOFError
        filled += count


def inflate_voxels(stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Read the voxels of a stream; the first axis is the fastest."""
    buffer = reserved_array(math.prod(shape) * dtype.itemsize)
    fill(stream, buffer)
    return buffer.view(dtype).reshape(shape, order="F")


def map_voxels(
    path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, format_name: str
) -> npt.NDArray[Any]:
    """Map the uncompressed voxels of a file; the first axis is the fastest.

    Raises
    ------
    MedrovError
        ``truncated``.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        actual = file.seek(0, 2)
    expected = offset + math.prod(shape) * dtype.itemsize
    if actual < expected:
        raise MedrovError(
            ErrorCode.TRUNCATED,
            f"The {format_name} file has {actual} of {expected} bytes.",
            "Copy or convert the file again.",
        )
    return np.memmap(path, dtype, "r", offset, shape, order="F")
