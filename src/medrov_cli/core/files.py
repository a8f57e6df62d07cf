"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
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
