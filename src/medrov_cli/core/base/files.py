"""Atomic writes of files, and SHA-256 of files."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from medrov_cli.core.base.claimed_folders import is_claimed
from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error, warn_of_cache
from medrov_cli.core.base.locks import is_abandoned, try_lock

_STAMPED_BYTES = 1 << 20
"""Minimum size of files with a stamp; smaller files are hashed in about the time of a stamp."""

UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)
"""Names of unfinished files of :func:`whole_file`."""

_SETTLED_NS = 2_000_000_000
"""Age from which a change is visible in a file's times; the coarsest steps, those of FAT, are 2 s."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary empty file beside ``path``, and rename it after the body.

    The folder is created if it does not exist. If the body fails, the temporary file is removed and ``path``
    is unchanged. A link at ``path`` is replaced, not followed. The temporary file is locked: a later run
    removes it if its process was killed (:func:`remove_abandoned`).

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` if the file cannot be written: disk full, no permission. ``USAGE`` if a folder of
        a claimed output folder is a symbolic link.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    is_swept = is_claimed(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_swept:
            remove_abandoned(path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"))
        with _created(temporary):
            yield temporary
            os.replace(temporary, path)  # noqa: PTH105 - atomic on every platform, by this name
    except OSError as error:
        raise MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write {path}: {error.strerror or error}",
            "Check the folder's permissions and the free space, then run again.",
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or its folder does not exist
            temporary.unlink()


@contextlib.contextmanager
def _created(path: Path) -> Iterator[None]:
    """Create an empty file, which is locked during the body."""
    if sys.platform == "win32":  # open files cannot be renamed there
        yield
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        try_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def remove_abandoned(paths: Iterable[Path], *, is_exclusive: bool = False) -> None:
    """Remove unfinished files of killed processes; other files are ignored.

    Parameters
    ----------
    paths
        Paths of files.
    is_exclusive
        Whether no other process writes there: files on file systems without locks are then removed, too.
    """
    for path in paths:
        if UNFINISHED.fullmatch(path.name) is None or path.is_dir():
            continue
        is_dead = is_abandoned(path)
        if is_dead or (is_dead is None and is_exclusive):
            with contextlib.suppress(OSError):
                path.unlink()


def open_text(path: Path, newline: str = "\n") -> TextIO:
    """Open a file to write UTF-8; bytes of names that are not UTF-8 become escapes, which JSON can read."""
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline=newline)


def require_absent(
    path: Path, *, overwrite: bool, detail: str = "", hint: str = "Give another --output, or --overwrite."
) -> None:
    """Refuse to replace an existing output without ``overwrite``.

    Parameters
    ----------
    path
        The output.
    overwrite
        Whether an existing output may be replaced.
    detail
        Further text about the file, at the end of the message.
    hint
        One action in the imperative.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if path.exists() and not overwrite:
        raise usage_error(f"{path} already exists{detail}", hint)


def bring_file(original: Path, target: Path, *, link: bool) -> None:
    """Copy a file atomically, as a hard link if the file system supports it.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(target) as temporary:
        if link:
            with contextlib.suppress(OSError):  # another file system, or one without hard links
                temporary.unlink(missing_ok=True)
                os.link(original.resolve(), temporary)
                return
        shutil.copyfile(original, temporary)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, lower-case hexadecimal.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def known_sha256(path: Path, *, reread: bool = False) -> str:
    """Return the SHA-256 of a file, lower-case hexadecimal; an unchanged file is not read again.

    A stamp in the cache folder stores the digest of a file with its path, size, identity and times. On POSIX
    every change of the content changes one of the times.

    Parameters
    ----------
    path
        The file.
    reread
        Read the file even if it has a stamp, to detect damage of the disk. An existing stamp is corrected,
        but no stamp is created.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    place = path.resolve()
    state = _state_of(place)
    if state["size"] < _STAMPED_BYTES:
        return sha256_of_file(place)
    stamp = cache_dir() / "sha256" / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:32]}.json"
    known = None if reread else _stamped(stamp, state)
    if known is not None:
        return known
    begun = time.time_ns()
    digest = sha256_of_file(place)
    newest = max(state["modified_ns"], state["changed_ns"])
    is_settled = newest < begun - _SETTLED_NS and _state_of(place) == state
    if is_settled and (stamp.exists() or not reread):
        with contextlib.suppress(MedrovError), whole_file(stamp) as temporary:  # a stamp is optional
            facts: dict[str, Any] = {"path": str(place), "state": state, "sha256": digest}
            temporary.write_text(json.dumps({**facts, "checksum": _checksum(facts)}))
    return digest


def _stamped(stamp: Path, state: dict[str, int]) -> str | None:
    """Return the digest of a stamp, if the stamp is of a file in this state; a damaged stamp is removed."""
    try:
        known = read_json(stamp)
        if isinstance(known, dict) and "checksum" not in known:  # of an earlier version of the program
            return None
        if known.pop("checksum") == _checksum(known):
            return str(known["sha256"]) if known["state"] == state else None
    except OSError:  # absent
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    warn_of_cache(f"the stored SHA-256 in {stamp} is damaged and is computed again")
    with contextlib.suppress(OSError):
        stamp.unlink()
    return None


def _checksum(known: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _state_of(path: Path) -> dict[str, int]:
    """Return the properties that change with a file's content, without reading it."""
    found = path.stat()
    return {
        "size": found.st_size,
        "modified_ns": found.st_mtime_ns,
        "changed_ns": found.st_ctime_ns,
        "device": found.st_dev,
        "inode": found.st_ino,
    }
