"""Archives of images: zip, tar (plain, gzip, bzip2, xz) and single gzip files, with limits before reading.

A member has the path of its archive, a slash and its name. Members are copied one by one to a temporary file
without a name, or in memory (see `inflation`); nothing is unpacked to a folder. They are opened by hand
because the unpacking of `shutil` has no limits.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from threading import RLock
from typing import IO, BinaryIO, cast

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.store_addresses import is_address, split_address
from medrov_cli.core.pixels.archive_kinds import is_archive_head, is_zip
from medrov_cli.core.pixels.archive_links import (
    ArchiveMember,
    folders_of,
    follow_links,
    tar_link_target,
    zip_link_target,
)
from medrov_cli.core.pixels.compression import Compression, compression_of, read_start
from medrov_cli.core.pixels.inflation import archive_damaged, archive_too_large, copy_stream, inflated
from medrov_cli.core.pixels.object_store import ObjectStore, open_store
from medrov_cli.core.pixels.remote_members import remote_member

_HEAD_BYTES = 4096
_OPEN_ARCHIVES = 8

_lock = RLock()


class Archive:
    """Opened archive.

    Parameters
    ----------
    file
        Its bytes, seekable; stays open with the archive.
    limits
        Number of members and sizes.

    Attributes
    ----------
    names
        Names of the regular files in it, and of links to them, in their order, each once. Names that leave
        the archive are not among them. Of members with one name the last is read: it replaces the others.
    broken_links
        Names of links to what is neither a member nor a folder.

    Raises
    ------
    MedrovError
        ``too_large``, ``decode_failed`` or ``truncated``.
    """

    def __init__(self, file: BinaryIO, limits: InputLimits) -> None:
        self._file = file
        self._limits = limits
        self._zip: zipfile.ZipFile | None = None
        self._tar: tarfile.TarFile | None = None
        entries: dict[str, ArchiveMember | str] = {}
        total = 0
        try:
            for name, entry in self._list(file):
                total += _size_of(entry)
                if total > limits.archive_bytes:
                    raise archive_too_large(f"contains more than {limits.archive_bytes} bytes")
                if is_safe(name):
                    entries[name] = entry
                if len(entries) > limits.archive_members:
                    raise archive_too_large(f"has more than {limits.archive_members} members")
        except (zipfile.BadZipFile, tarfile.TarError, NotImplementedError):
            raise archive_damaged() from None
        found = {name: follow_links(name, entries) for name in entries}
        self._members = {name: entry for name, entry in found.items() if not isinstance(entry, str)}
        if sum(map(_size_of, self._members.values())) > limits.archive_bytes:
            raise archive_too_large(f"contains more than {limits.archive_bytes} bytes by its links")
        self.names = tuple(self._members)
        folders = folders_of(entries)
        self.broken_links = tuple(n for n, e in found.items() if isinstance(e, str) and e not in folders)

    def _list(self, file: BinaryIO) -> Iterator[tuple[str, ArchiveMember | str]]:
        """Yield the name of each file, and the member, or the name to which a link leads."""
        if is_zip(file.read(4)):
            self._zip = zipfile.ZipFile(file)
            for info in self._zip.infolist():
                if not info.is_dir():
                    yield info.filename.replace("\\", "/"), zip_link_target(self._zip, info) or info
            return
        file.seek(0)
        self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - stays open with the archive
        for member in self._tar:
            target = tar_link_target(member)
            if target is not None or member.isreg():
                yield member.name.removeprefix("./"), target or member

    def __del__(self) -> None:
        """Close the file when the archive is no longer among the open ones."""
        self._file.close()

    def open(self, name: str) -> IO[bytes]:
        """Open a member for reading from its start, without a copy; not for several threads.

        Raises
        ------
        MedrovError
            ``not_found``, ``unreadable``, ``too_large`` or ``decode_failed``.
        """
        member = self._members.get(name)
        if member is None:
            raise MedrovError(
                ErrorCode.NOT_FOUND, "The archive has no member of that name.", "Check the spelling."
            )
        try:
            if isinstance(member, zipfile.ZipInfo):
                if member.file_size > self._limits.inflated_bytes:
                    raise archive_too_large(f"has a member of more than {self._limits.inflated_bytes} bytes")
                return cast(zipfile.ZipFile, self._zip).open(member)
            return cast(IO[bytes], cast(tarfile.TarFile, self._tar).extractfile(member))
        except RuntimeError:
            raise MedrovError(
                ErrorCode.UNREADABLE, "The member of the archive is encrypted.", "Unpack the archive."
            ) from None
        except (zipfile.BadZipFile, tarfile.TarError, NotImplementedError):
            raise archive_damaged() from None

    def copy(self, name: str) -> BinaryIO:
        """Return a copy of a member, at its start."""
        with _lock, self.open(name) as member:
            return copy_stream(cast(BinaryIO, member), self._limits)


def _size_of(entry: ArchiveMember | str) -> int:
    """Return the size of the content of a member; 0 for a link."""
    if isinstance(entry, str):
        return 0
    return entry.file_size if isinstance(entry, zipfile.ZipInfo) else entry.size


def is_safe(name: str) -> bool:
    """Return whether the name of a member stays below its archive."""
    parts = name.split("/")
    return bool(name) and not name.startswith("/") and "\0" not in name and not {"", ".", ".."} & set(parts)


def split_member(path: str) -> tuple[str, str] | None:
    """Return the archive at the start of a path, and the rest; null if the path is not that of a member.

    Images that were retrieved from a service are members of a temporary archive, objects those of a store.
    """
    if is_address(path):
        return split_address(path)
    remote = remote_member(path)
    if remote is not None:
        return remote
    if os.path.lexists(path):
        return None
    parts = PurePosixPath(path).parts
    for count in range(len(parts) - 1, 0, -1):
        base = path[: len(path) - len("/".join(parts[count:])) - 1]
        if os.path.isfile(base):  # noqa: PTH113 - Path() would rewrite the name
            return (base, "/".join(parts[count:])) if _is_archive_file(base) else None
    return None


def _is_archive_file(path: str) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123
        return is_archive_head(read_start(file, _HEAD_BYTES))


def open_archive(path: str, limits: InputLimits, depth: int = 1) -> Archive | ObjectStore:
    """Return the archive at a path, which may be a member of another archive; it stays open for a while.

    That of an address is its store.

    Raises
    ------
    MedrovError
        See `Archive`; ``too_large`` also for archives in archives beyond `InputLimits.archive_depth`.
    """
    if is_address(path):
        return open_store(split_address(path)[0], limits)
    status = os.stat((split_member(path) or (path, ""))[0])  # noqa: PTH116
    with _lock:
        return _open_archive(path, limits, depth, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _open_archive(path: str, limits: InputLimits, depth: int, _signature: tuple[int, int]) -> Archive:
    if depth > limits.archive_depth:
        raise archive_too_large(f"contains archives in archives beyond {limits.archive_depth} levels")
    place = split_member(path)
    if place is None:
        file: BinaryIO = open(path, "rb")  # noqa: PTH123, SIM115 - stays open with the archive
    else:
        file = open_member(*place, limits)
    kind = compression_of(file.read(_HEAD_BYTES))
    file.seek(0)
    if kind is Compression.NONE:
        return Archive(file, limits)
    with file:
        content = inflated(file, kind, limits)
    return Archive(content, limits)


def open_member(base: str, rest: str, limits: InputLimits) -> BinaryIO:
    """Return a copy of a member, at its start: of the archive, or of an archive in it."""
    archive, name = find_archive(base, rest, limits)
    return archive.copy(name)


def find_archive(
    base: str, rest: str, limits: InputLimits, depth: int = 1
) -> tuple[Archive | ObjectStore, str]:
    """Return the innermost archive of a member, and the name in it, which it may not have.

    Raises
    ------
    MedrovError
        See `open_archive`.
    """
    archive = open_archive(base, limits, depth)
    inner = max((name for name in archive.names if rest.startswith(f"{name}/")), key=len, default=None)
    if rest in archive.names or inner is None:
        return archive, rest
    return find_archive(f"{base}/{inner}", rest[len(inner) + 1 :], limits, depth + 1)
