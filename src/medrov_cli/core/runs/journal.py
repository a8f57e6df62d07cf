"""Journal: a file of JSON lines that can be continued after a kill at any byte."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from medrov_cli.core.base.claimed_folders import link_error
from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.runs.locking import lock_descriptor

JsonRecord = Mapping[str, Any]
"""Record of schema ``medrov.detect/1``, as plain JSON."""


def json_line(record: JsonRecord) -> str:
    """Return a record as one line of ASCII JSON, with its newline; equal records give equal bytes."""
    return json.dumps(record, separators=(", ", ": "), allow_nan=False) + "\n"


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of JSON lines, one in memory at a time."""
    with path.open("rb") as stream:
        for line in stream:
            yield json.loads(line)


class Journal:
    """Writer of records to a file that gets its name after the last record.

    Parameters
    ----------
    path
        Final path. Until :meth:`publish` the lines are in a hidden file beside it.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` from every method if the file cannot be written: disk full, no permission.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self._stream: FileIO | None = None

    def lock(self) -> None:
        """Lock the hidden file for this process; the lock ends with the process.

        Raises
        ------
        MedrovError
            ``USAGE`` if another process has the lock, or the hidden file is a link or no file.
        """
        if self._stream is not None:
            return
        with _output_failures(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            stream = FileIO(self.partial, "a+", opener=_open_own)
        try:
            lock_descriptor(stream.fileno(), self.path.parent)
        except MedrovError:
            stream.close()
            raise
        self._stream = stream

    def open(self, keep: Callable[[Iterator[dict[str, Any]]], int]) -> None:
        """Open the hidden file, and truncate it after the records that are kept.

        Parameters
        ----------
        keep
            Function of the complete records of an earlier run (without an incomplete last line) to the number
            of records that are kept.
        """
        self.lock()
        kept = keep(self.records())
        size_bytes = 0
        for number, (_, end) in enumerate(self._whole_lines(), 1):
            if number > kept:
                break
            size_bytes = end
        with _output_failures(self.path):
            self._opened().truncate(size_bytes)

    def append(self, record: JsonRecord) -> None:
        """Write one record; it remains after a kill of the process."""
        rest = json_line(record).encode("ascii")
        with _output_failures(self.path):
            while rest:  # an unbuffered stream may write a part
                rest = rest[self._opened().write(rest) :]

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records in the file."""
        for record, _ in self._whole_lines():
            yield record

    def publish(self) -> None:
        """Rename the file to its final path."""
        with _output_failures(self.path):
            os.fsync(self._opened().fileno())
            os.replace(self.partial, self.path)  # noqa: PTH105 - atomic on every platform
        self.close()

    def close(self) -> None:
        """Close the file; its records stay."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _opened(self) -> FileIO:
        if self._stream is None:
            raise ValueError("the journal is not open")
        return self._stream

    def _whole_lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield each complete record and the offset of its end; stop at the first incomplete one."""
        end = 0
        with self.partial.open("rb") as stream:
            for line in stream:
                end += len(line)
                record = _parsed(line)
                if record is None:
                    return
                yield record, end


def _open_own(path: str, flags: int) -> int:
    """Open a file of ours to write in its place: no symbolic or hard link, and no device.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    place = Path(path)
    if place.is_symlink():
        raise link_error(place.parent, place)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise link_error(place.parent, place) from error
        raise
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(descriptor)
        raise usage_error(
            f"--output {place.parent}: {place} is not a file of its own: it has other links, or is a device",
            "Remove it, or give another --output.",
        )
    return descriptor


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or null for an incomplete or damaged line."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


@contextlib.contextmanager
def _output_failures(path: Path) -> Iterator[None]:
    """Convert errors of the operating system to ``OUTPUT_FAILED``."""
    try:
        yield
    except OSError as error:
        raise MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write {path}: {error.strerror or error}",
            "Check the folder's permissions and the free space, then run again with --resume.",
        ) from error
