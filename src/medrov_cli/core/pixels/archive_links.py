"""Links among the members of an archive: hard links and symbolic links of tar, symbolic links of zip."""

from __future__ import annotations

import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

ArchiveMember = zipfile.ZipInfo | tarfile.TarInfo

_TARGET_BYTES = 4096
"""Longest path in the content of a symbolic link (PATH_MAX of Linux)."""
_LINKS_IN_A_ROW = 40
"""Links that lead to links, as Linux follows them."""


def tar_link_target(member: tarfile.TarInfo) -> str | None:
    """Return the name of the member to which a link in a tar file leads; null for other members.

    The name of a hard link is that of a member, a symbolic link is relative to its folder.
    """
    if member.issym():
        return _beside(member.name, member.linkname)
    return posixpath.normpath(member.linkname) if member.islnk() else None


def zip_link_target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str | None:
    """Return the name of the member to which a link in a zip file leads; null for other members.

    A symbolic link of Info-ZIP has its mode in the upper half of the external attributes, and its target
    as the content. One without a readable target leads to itself.
    """
    if not stat.S_ISLNK(info.external_attr >> 16):
        return None
    try:
        with archive.open(info) as content:
            target = content.read(_TARGET_BYTES).decode("utf-8", "surrogateescape")
    except (RuntimeError, EOFError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError):
        return info.filename
    return _beside(info.filename, target)


def _beside(name: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target))


def follow_links(name: str, entries: Mapping[str, ArchiveMember | str]) -> ArchiveMember | str:
    """Return the member behind a name, or the name behind it that no member has.

    Parameters
    ----------
    name
        A key of `entries`.
    entries
        By name: a member, or the target of a link.
    """
    entry = entries[name]
    for _ in range(_LINKS_IN_A_ROW):
        if not isinstance(entry, str) or entry not in entries:
            break
        entry = entries[entry]
    return entry


def folders_of(names: Iterable[str]) -> set[str]:
    """Return all folders of members, as normal paths; that of the archive is ``.``."""
    return {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
