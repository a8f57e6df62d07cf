"""A file of JSON lines that survives a kill at any byte, and goes on where it was cut."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.runs.locking import lock_descriptor

JsonRecord = Mapping[str, Any]
"""One record of schema ``medrov.detect/1``, as plain JSON."""


def json_line(record: JsonRecord) -> str:
    """Return a record as one line of ASCII JSON, with its newline. Equal records, equal bytes."""
    return json.dumps(record, separators=(", ", ": "), allow_nan=False) + "\n"


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of JSON lines, one in memory at a time."""
    with path.open("rb") as stream:
        for line in stream:
            yield json.loads(line)


class Journal:
    """Append records to a file that takes its name only when all are in.

    Parameters
    ----------
    path
        The final name. Until :meth:`publish` the lines are in a hidden file beside it.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED`` from every method, if the machine refuses: disk full, no permission.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self._stream: FileIO | None = None

    def lock(self) -> None:
        """Claim the hidden file for this process; the claim ends with the process, however it ends.

        Raises
        ------
        MedrovError
            ``USAGE`` if another process has it.
        """
        if self._stream is not None:
            return
        with _output_failures(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            stream = self.partial.open("a+b", buffering=0)
        try:
            lock_descriptor(stream.fileno(), self.path.parent)
        except MedrovError:
            stream.close()
            raise
        self._stream = stream

    def open(self, keep: Callable[[Iterator[dict[str, Any]]], int]) -> None:
        """Open the hidden file, and cut it after the records that are to be kept.

        Parameters
        ----------
        keep
            Handed the whole records that an earlier run left (a torn last line is not one of
            them), it returns how many of them stay.
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
        """Write one record; a kill afterwards cannot take it away."""
        rest = json_line(record).encode("ascii")
        with _output_failures(self.path):
            while rest:  # an unbuffered stream may write a part
                rest = rest[self._opened().write(rest) :]

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records that are in the file now."""
        for record, _ in self._whole_lines():
            yield record

    def publish(self) -> None:
        """Give the file its name."""
        with _output_failures(self.path):
            os.fsync(self._opened().fileno())
            os.replace(self.partial, self.path)  # noqa: PTH105 - atomic on every platform
        self.close()

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _opened(self) -> FileIO:
        if self._stream is None:
            raise ValueError("the journal is not open")
        return self._stream

    def _whole_lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield each whole record and the offset of its end; stop at the first torn one."""
        end = 0
        with self.partial.open("rb") as stream:
            for line in stream:
                end += len(line)
                record = _parsed(line)
                if record is None:
                    return
                yield record, end


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or null where the line was cut or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


@contextlib.contextmanager
def _output_failures(path: Path) -> Iterator[None]:
    """Turn the machine's refusals into ``OUTPUT_FAILED``."""
    try:
        yield
    except OSError as error:
        raise MedrovError(
            ErrorCode.OUTPUT_FAILED,
            f"cannot write {path}: {error.strerror or error}",
            "Check the folder's permissions and the free space, then run again with --resume.",
        ) from error
