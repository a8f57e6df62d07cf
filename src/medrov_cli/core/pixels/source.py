"""Opening of the bytes of an input: a file, a member of an archive, or the content of a gzip file."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import IO, BinaryIO, NamedTuple, cast

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.scratch import scratch_file
from medrov_cli.core.pixels.archive_kinds import is_archive_head, is_tar
from medrov_cli.core.pixels.archives import open_archive, open_member, split_member
from medrov_cli.core.pixels.compression import Compression, compression_of, inflate_head, read_start
from medrov_cli.core.pixels.detached import is_detached_header
from medrov_cli.core.pixels.inflation import inflated
from medrov_cli.core.pixels.packed_headers import unpack_header
from medrov_cli.core.pixels.sniff import HEAD_BYTES, Kind, sniff_head


class SourceBytes(NamedTuple):
    """Bytes of an input.

    Attributes
    ----------
    file
        At its start, seekable.
    path
        Path of a file with the same bytes; null for members of archives and inflated files.
    """

    file: BinaryIO
    path: str | None


@contextmanager
def open_source(path: str, limits: InputLimits) -> Iterator[SourceBytes]:
    """Open an input for reading; a compressed image other than NIfTI is inflated.

    Raises
    ------
    MedrovError
        An input code, for archives.
    OSError
        The file cannot be opened.
    """
    place = split_member(path)
    file = open_member(*place, limits) if place else cast(BinaryIO, open(path, "rb"))  # noqa: PTH123, SIM115
    with file:
        head = read_start(file, HEAD_BYTES)
        file.seek(0)
        kind = compression_of(head)
        if (
            kind is Compression.NONE
            or sniff_head(head) is Kind.NIFTI
            or is_tar(inflate_head(head, HEAD_BYTES))
        ):
            yield SourceBytes(file, None if place else path)
            return
        with inflated(file, kind, limits) as content:
            yield SourceBytes(content, None)


@contextmanager
def local_path(source: SourceBytes, name: str, limits: InputLimits) -> Iterator[str]:
    """Return the path of a file with the bytes of a source, temporary if there is none.

    That of a header in an archive has its data files beside it.
    """
    if source.path is not None:
        yield source.path
        return
    place = split_member(name)
    if place is not None and is_detached_header(name):
        with unpack_header(source.file, *place, limits) as header:
            yield header
        return
    suffix = "".join(PurePath(name.removesuffix(".gz")).suffixes[-1:])
    with scratch_file(suffix if re.fullmatch(r"\.\w{1,8}", suffix) else "") as (target, path):
        shutil.copyfileobj(source.file, target)
        target.flush()
        yield path


def read_head(path: str, limits: InputLimits) -> bytes:
    """Return the first bytes of an input, up to `HEAD_BYTES`; of a compressed one, of its content.

    The head of compressed NIfTI stays compressed, and that of an archive is its own; see also
    `compression.read_start`.

    Raises
    ------
    MedrovError
        An input code, for archives.
    OSError
        The file cannot be opened.
    """
    place = split_member(path)
    if place is None:
        with open(path, "rb") as file:  # noqa: PTH123 - a path may contain undecodable bytes
            head = read_start(file, HEAD_BYTES)
    else:
        with _peek(*place, limits) as member:
            head = read_start(member, HEAD_BYTES)
    if compression_of(head) is Compression.NONE or sniff_head(head) is Kind.NIFTI:
        return head
    content = inflate_head(head, HEAD_BYTES)
    return head if is_tar(content) else content


@contextmanager
def open_for_header(path: str, limits: InputLimits) -> Iterator[BinaryIO]:
    """Open an input for reading at its start alone: members of archives are not copied.

    Not for several threads.
    """
    place = split_member(path)
    if place is None or compression_of(_first(path, limits)) is not Compression.NONE:
        with open_source(path, limits) as source:
            yield source.file
        return
    with _peek(*place, limits) as member:
        yield cast(BinaryIO, member)


def _first(path: str, limits: InputLimits) -> bytes:
    place = split_member(path)
    if place is None:
        return b""
    with _peek(*place, limits) as member:
        return member.read(8)


@contextmanager
def _peek(base: str, rest: str, limits: InputLimits) -> Iterator[IO[bytes]]:
    """Open a member without a copy."""
    archive = open_archive(base, limits)
    if rest in archive.names:
        with archive.open(rest) as member:
            yield member
        return
    with open_member(base, rest, limits) as copied:
        yield copied


def is_archive(path: str, limits: InputLimits) -> bool:
    """Return whether an input is a zip or a tar file, compressed or not.

    Raises
    ------
    MedrovError
        An input code, for archives.
    OSError
        The file cannot be opened.
    """
    return is_archive_head(read_head(path, limits))


def signature(path: str) -> tuple[int, int]:
    """Return the time of change and the size of a file, or of the archive of a member."""
    status = os.stat((split_member(path) or (path, ""))[0])  # noqa: PTH116
    return status.st_mtime_ns, status.st_size
