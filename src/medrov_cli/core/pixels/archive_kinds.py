"""Detection of archives and compressed files by their first bytes and names."""

from __future__ import annotations

import tarfile
from pathlib import PurePath

from medrov_cli.core.pixels.compression import inflate_head

_TAR_MAGIC_AT = 257
_UNREADABLE_MAGIC = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")

_NAMES = (".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
"""Ends of names by which an archive below a folder is searched: many documents are zip files, too."""


def is_zip(head: bytes) -> bool:
    """Return whether bytes are the start of a zip file."""
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def is_tar(head: bytes) -> bool:
    """Return whether bytes are the start of a tar file; the old format (v7) has a checksum alone."""
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return True
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def is_archive_head(head: bytes) -> bool:
    """Return whether bytes are the start of a zip or a tar file, compressed or not."""
    return is_zip(head) or is_tar(inflate_head(head, tarfile.BLOCKSIZE))


def is_unreadable_archive(head: bytes) -> bool:
    """Return whether bytes are the start of an archive in a format that is not read."""
    return head.startswith(_UNREADABLE_MAGIC)


def has_archive_name(path: str) -> bool:
    """Return whether the name of a file is that of an archive."""
    return PurePath(path).name.casefold().endswith(_NAMES)
