"""Exceptions of decoders as input errors, without content of the file."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.isolation import IsolatedError


def out_of_memory() -> MedrovError:
    """Return the error for an image that exceeds the memory of the machine."""
    return MedrovError(
        ErrorCode.TOO_LARGE,
        "The image exceeds the available memory.",
        "Give a lower --max-memory, so that fewer images are read at a time; or split or downsample it.",
    )


@contextmanager
def input_errors() -> Iterator[None]:
    """Convert exceptions of decoders to input errors without content of the file."""
    try:
        yield
    except MedrovError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            "The file does not exist.",
            "Check the spelling, and that the folder is mounted.",
        ) from None
    except PermissionError:
        raise MedrovError(
            ErrorCode.UNREADABLE, "The file cannot be read (permission denied).", "Check its permissions."
        ) from None
    except MemoryError:
        raise out_of_memory() from None
    except EOFError:
        raise MedrovError(ErrorCode.TRUNCATED, "The file is truncated.", "Copy or export it again.") from None
    except Exception as error:  # noqa: BLE001 - decoders raise any exception
        raise _translated(error) from None


def _translated(error: Exception) -> MedrovError:
    if isinstance(error, OSError) and error.errno is not None:
        return MedrovError(
            ErrorCode.UNREADABLE,
            f"The operating system could not read the file ({os.strerror(error.errno)}).",
            "Check the disk or the network share, then try again.",
        )
    if isinstance(error, (zlib.error, gzip.BadGzipFile)):
        return MedrovError(
            ErrorCode.DECODE_FAILED, "The compressed data is damaged.", "Copy or export the file again."
        )
    name = error.name if isinstance(error, IsolatedError) else type(error).__name__
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        f"The file is corrupt or breaks its format's rules ({name}).",
        "Open it in another viewer; if that works, report it with a file without patient data.",
    )
