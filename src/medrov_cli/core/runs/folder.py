"""The output folder of a run: who may write there, what the run is, and how it ends."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.runs.identity import Refusal, require_equal
from medrov_cli.core.runs.journal import Journal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.runs.locking import FolderLock

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
"""Names that :func:`medrov_cli.core.base.files.whole_file` gives to unfinished files."""


class RunFolder:
    """Claim a folder for one run, and end that run.

    A kill leaves the record, whole files and the journal: the next run with the same record continues.
    As a context manager it releases the folder at the end.

    Parameters
    ----------
    path
        The folder; made by :meth:`claim`.
    kind
        What the command keeps there.
    journal
        The last file, where that is a journal: it grows in a hidden file until the run is complete.
    """

    def __init__(self, path: Path, kind: RunKind, journal: Journal | None = None) -> None:
        self.path = path
        self.kind = kind
        self.journal = journal
        self._lock = FolderLock(path)

    def __enter__(self) -> Self:
        """Return the folder."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the folder."""
        self.close()

    @property
    def is_complete(self) -> bool:
        """Whether an earlier run has given its journal the final name: nothing is left to write."""
        return self.journal is not None and self.journal.path.exists()

    @property
    def has_record(self) -> bool:
        """Whether the folder holds the record of a run."""
        return self.kind.record is not None and (self.path / self.kind.record.name).exists()

    def require_free(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder with an earlier run, unless it is to be resumed or replaced; write nothing.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        if not (resume or overwrite) and self._holds_a_run():
            raise self._error(self.kind.taken)

    def check(self, record: Mapping[str, Any] | None, *, resume: bool, overwrite: bool) -> None:
        """Refuse what :meth:`claim` would refuse, but for a lock; write nothing.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        self.require_free(resume=resume, overwrite=overwrite)
        own = self.kind.record
        if own is None or record is None:
            return
        if not self.has_record:
            if self.kind.foreign is not None and self._holds_other_files():
                raise self._error(self.kind.foreign)
        elif not overwrite:
            before = _read(self.path / own.name)
            places = self._places()
            require_equal(before, record, own.changed, ignored=own.ignored, whole=own.name, **places)

    def claim(self, record: Mapping[str, Any] | None, *, resume: bool, overwrite: bool = False) -> None:
        """Lock the folder, and make it this run's or continue the same run.

        Unfinished files of dead runs are removed. A complete run is neither locked nor changed.

        Parameters
        ----------
        record
            JSON that describes the run: equal runs have equal records. None for a kind without a record.
        resume
            Continue the run that the folder holds.
        overwrite
            Remove the files of the run that the folder holds.

        Raises
        ------
        MedrovError
            ``USAGE``: the folder holds a run and neither is given, the record of the run to be resumed
            differs, the folder holds other files, or another process writes there. ``OUTPUT_FAILED``.
        """
        self.check(record, resume=resume, overwrite=overwrite)
        if self.is_complete and not overwrite:
            return
        self._acquire()
        self.check(record, resume=resume, overwrite=overwrite)
        if overwrite and self.has_record:
            self._remove_former_run()
        self._remove_temporary_files()
        if self.kind.record is not None and record is not None and not self.has_record:
            with whole_file(self.path / self.kind.record.name) as temporary:
                temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="ascii", newline="\n")

    def finish(self, write: Callable[[Path], None] | None = None) -> None:
        """Give the last file its name, when all others are written, and release the folder.

        Parameters
        ----------
        write
            Writes the last file under the path that it is called with; None where that is a journal, or
            where the kind has no last file.

        Raises
        ------
        MedrovError
            ``OUTPUT_FAILED``.
        """
        if self.journal is not None:
            self.journal.publish()
        elif self.kind.last is not None and write is not None:
            write(self.path / self.kind.last)
        self.close()

    def close(self) -> None:
        """Release the folder; what is written stays, for a later ``resume``."""
        if self.journal is not None:
            self.journal.close()
        self._lock.release()

    def _holds_a_run(self) -> bool:
        return any(next(self.path.glob(mark), None) is not None for mark in self.kind.marks)

    def _holds_other_files(self) -> bool:
        """Tell whether there are files in a folder without a record that forbid a new run."""
        if self.kind.needs_empty and self.path.is_dir():
            return any(_TEMPORARY.fullmatch(item.name) is None for item in self.path.iterdir())
        if self.kind.needs_empty:
            return self.path.exists()
        return self.kind.last is not None and (self.path / self.kind.last).exists()

    def _acquire(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise MedrovError(
                ErrorCode.OUTPUT_FAILED,
                f"cannot write {self.path}: {error.strerror or error}",
                "Check the folder's permissions and the free space, then run again.",
            ) from error
        if self.journal is not None:
            self.journal.lock()

    def _remove_former_run(self) -> None:
        """Remove what a run writes, and nothing else; after a kill the rest can be resumed or removed."""
        if self.journal is not None:
            self.journal.open(lambda _: 0)
        record = None if self.kind.record is None else self.kind.record.name
        for name in filter(None, (self.kind.last, *self.kind.files, record)):
            item = self.path / name
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)

    def _remove_temporary_files(self) -> None:
        """Remove the unfinished files of dead runs, in the places that this kind writes to."""
        found = [*self.path.glob(".*.tmp")]
        for name in ["."] if self.kind.needs_empty else self.kind.files:
            found += (self.path / name).rglob(".*.tmp")
        for item in found:
            if _TEMPORARY.fullmatch(item.name):
                item.unlink(missing_ok=True)

    def _error(self, refusal: Refusal) -> MedrovError:
        return refusal.error(**self._places())

    def _places(self) -> dict[str, Path]:
        record = self.kind.record
        return {"folder": self.path} | ({} if record is None else {"record": self.path / record.name})


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
