"""Files that appear whole or not at all, and what they are known by."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from medrov_cli.core.errors import ErrorCode, MedrovError


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
