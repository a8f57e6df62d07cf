"""Copies of members of archives, and of the content of compressed files, with limits while they are read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.compression import Compression

_MEMORY_BYTES = 64 * 1024**2
_CHUNK_BYTES = 1 << 20


def inflated(file: BinaryIO, kind: Compression, limits: InputLimits) -> BinaryIO:
    """Return the content of a compressed file, at its start, up to `InputLimits.inflated_bytes`.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    file.seek(0)
    reader: IO[bytes]
    if kind is Compression.GZIP:
        reader = cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    else:
        reader = bz2.BZ2File(file) if kind is Compression.BZIP2 else lzma.LZMAFile(file)  # noqa: SIM115 - read at once
    try:
        return copy_stream(cast(BinaryIO, reader), limits)
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile):
        raise archive_damaged() from None


def copy_stream(source: BinaryIO, limits: InputLimits) -> BinaryIO:
    """Return a copy of a stream, at its start: in memory, or in a temporary file without a name.

    Raises
    ------
    MedrovError
        ``too_large``, ``decode_failed`` or ``truncated``.
    """
    target = cast(BinaryIO, SpooledTemporaryFile(max_size=_MEMORY_BYTES))  # noqa: SIM115 - returned open
    try:
        while chunk := _read(source):
            if target.tell() + len(chunk) > limits.inflated_bytes:
                raise archive_too_large(f"inflates to more than {limits.inflated_bytes} bytes")
            target.write(chunk)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def _read(source: BinaryIO) -> bytes:
    try:
        return source.read(_CHUNK_BYTES)
    except (zipfile.BadZipFile, tarfile.TarError):
        raise archive_damaged() from None
    except EOFError:
        raise MedrovError(
            ErrorCode.TRUNCATED, "The archive or compressed file is truncated.", "Copy it again."
        ) from None


def archive_too_large(what: str) -> MedrovError:
    """Return the error of an archive beyond a limit."""
    return MedrovError(ErrorCode.TOO_LARGE, f"The archive {what}.", "Unpack it, and give the folder.")


def archive_damaged() -> MedrovError:
    """Return the error of an archive that cannot be read."""
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        "The archive is damaged or of an unknown kind.",
        "Copy it again, or unpack it.",
    )
