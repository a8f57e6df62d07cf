"""Files that appear whole or not at all, and what they are known by."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error

_STAMPED_BYTES = 1 << 20
"""Files from this size on are stamped: smaller ones are hashed in about the time a stamp takes."""

_SETTLED_NS = 2_000_000_000
"""Age from which a change must show in a file's times: the coarsest, those of FAT, go in steps of 2 s."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Hand out a temporary name beside ``path``, and rename it when the body is done.

    The folder is made if need be. If the body fails, the temporary file is removed and
    ``path`` is as it was.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` if the machine refuses: disk full, no permission.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - atomic on every platform, by this name
    except OSError as error:
        raise MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write {path}: {error.strerror or error}",
            "Check the folder's permissions and the free space, then run again.",
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it is renamed, or there is not even its folder
            temporary.unlink()


def require_absent(
    path: Path, *, overwrite: bool, detail: str = "", hint: str = "Give another --output, or --overwrite."
) -> None:
    """Refuse to replace an output unless that is asked for.

    Parameters
    ----------
    path
        The output.
    overwrite
        Whether it may be replaced.
    detail
        More to say about the file, at the end of the message.
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
    """Put a file elsewhere, whole: its bytes, or a hard link to it where the file system has them.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(target) as temporary:
        if link:
            with contextlib.suppress(OSError):  # another file system, or one without hard links
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
    """Return the SHA-256 of a file, lower-case hexadecimal; a file that is as it was is not read again.

    A stamp in our cache folder says which digest a file had that was in this place, with this size,
    identity and these times. On POSIX every change of the content changes one of the times.

    Parameters
    ----------
    path
        The file.
    reread
        Whatever a stamp says, read the file: it may have rotted on the disk by itself. A stamp that
        is there is set right, but none is made: who checks leaves no traces.

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
        with contextlib.suppress(MedrovError), whole_file(stamp) as temporary:  # without it: read again
            temporary.write_text(json.dumps({"path": str(place), "state": state, "sha256": digest}))
    return digest


def _stamped(stamp: Path, state: dict[str, int]) -> str | None:
    """Return the digest of a stamp, if it is of a file in this state."""
    try:
        known = json.loads(stamp.read_bytes())
        return str(known["sha256"]) if known["state"] == state else None
    except (OSError, ValueError, TypeError, KeyError):  # absent or damaged
        return None


def _state_of(path: Path) -> dict[str, int]:
    """Return what changes with a file's content, as far as the file system tells without reading it."""
    found = path.stat()
    return {
        "size": found.st_size,
        "modified_ns": found.st_mtime_ns,
        "changed_ns": found.st_ctime_ns,
        "device": found.st_dev,
        "inode": found.st_ino,
    }
