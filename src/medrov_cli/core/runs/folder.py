"""Output folder of a run: lock, record, resumption and completion."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

from medrov_cli.core.base.claimed_folders import FolderClaim, link_error
from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import UNFINISHED, remove_abandoned, whole_file
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.runs.identity import Refusal, require_equal
from medrov_cli.core.runs.journal import Journal
from medrov_cli.core.runs.kind import RunKind
from medrov_cli.core.runs.locking import FolderLock


class RunFolder:
    """Output folder of one run.

    After a kill the folder contains the record, complete files and the journal, and a run with an equal
    record can continue.
    As a context manager it releases the folder at the end.

    Parameters
    ----------
    path
        Path of the folder, which :meth:`claim` creates.
    kind
        Kind of the runs of the command.
    journal
        Journal that becomes the last file; until the run is complete it is a hidden file.
    """

    def __init__(self, path: Path, kind: RunKind, journal: Journal | None = None) -> None:
        self.path = path
        self.kind = kind
        self.journal = journal
        self._lock = FolderLock(path, is_shared=kind.is_shared)
        self._claim: FolderClaim | None = None

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
        """Whether an earlier run is complete: its journal has the final name."""
        return self.journal is not None and self.journal.path.exists()

    @property
    def has_record(self) -> bool:
        """Whether the folder contains the record of a run."""
        return self.kind.record is not None and (self.path / self.kind.record.name).exists()

    def check(self, record: Mapping[str, Any] | None, *, resume: bool, overwrite: bool) -> None:
        """Raise the errors of :meth:`claim`, except that of a lock; write nothing.

        Parameters
        ----------
        record
            See :meth:`claim`; None where it is not known yet: then any earlier run can be resumed.
        resume, overwrite
            See :meth:`claim`.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        is_run = self._holds_a_run()
        if is_run and not (resume or overwrite):
            raise self._error(self.kind.taken)
        own = self.kind.record
        if own is None:
            if not (is_run or overwrite):
                self._refuse_other_files(None)
        elif record is None:
            return
        elif not self.has_record:
            self._refuse_other_files(record)
        elif not overwrite:
            before = _read(self.path / own.name)
            places = self._places()
            require_equal(before, record, own.changed, ignored=own.ignored, whole=own.name, **places)

    def claim(self, record: Mapping[str, Any] | None, *, resume: bool, overwrite: bool = False) -> None:
        """Lock the folder for a new run, or for the continuation of an equal run.

        Unfinished files of killed runs are removed. From now on no symbolic link below the folder is followed
        on write. A complete run is neither locked nor changed.

        Parameters
        ----------
        record
            JSON that describes the run; equal runs have equal records. None for a kind without a record.
        resume
            Whether to continue the run in the folder.
        overwrite
            Whether to remove the files of the run in the folder.

        Raises
        ------
        MedrovError
            ``USAGE`` if the folder contains a run and neither is given, the record of the resumed run
            differs, the folder contains other files, another process writes there, or a folder of the run
            is a symbolic link; ``OUTPUT_FAILED``.
        """
        self.check(record, resume=resume, overwrite=overwrite)
        if self.is_complete and not overwrite:
            return
        self._acquire()
        # Another process may have written a run since the first check.
        self.check(record, resume=resume, overwrite=overwrite)
        if self.is_complete and not overwrite:
            self._lock.release()
            return
        unfinished = self._unfinished_files()
        if self.journal is not None:
            self.journal.lock()
        self._claim = FolderClaim(self.path)
        remove_abandoned(unfinished, is_exclusive=not self.kind.is_shared)
        if overwrite and self.has_record:
            self._remove_former_run()
        if self.kind.record is not None and record is not None and not self.has_record:
            with whole_file(self.path / self.kind.record.name) as temporary:
                temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="ascii", newline="\n")

    def finish(self, write: Callable[[Path], None] | None = None) -> None:
        """Write or rename the last file after all others, and release the folder.

        Parameters
        ----------
        write
            Function that writes the last file to the given path; None if that is a journal, or the kind has
            no last file.

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
        """Release the folder; written files stay, for a later ``resume``."""
        if self.journal is not None:
            self.journal.close()
        if self._claim is not None:
            self._claim.release()
        self._lock.release()

    def _holds_a_run(self) -> bool:
        return any(next(self.path.glob(mark), None) is not None for mark in self.kind.marks)

    def _refuse_other_files(self, record: Mapping[str, Any] | None) -> None:
        """Refuse a folder without a run that contains files which prevent a new one."""
        if self.kind.foreign is None:
            return
        if not self.kind.needs_empty:
            found: Iterable[Path] = self._written_files(record)
        elif self.path.is_dir():
            found = (item for item in self.path.iterdir() if UNFINISHED.fullmatch(item.name) is None)
        else:
            found = [self.path] if self.path.exists() else []
        first = next(iter(found), None)
        if first is not None:
            raise self._error(self.kind.foreign, file=first)

    def _written_files(self, record: Any) -> Iterator[Path]:
        """Yield the existing files with names of a run with a record."""
        for pattern in self.kind.written_files(record):
            yield from (item for item in self.path.glob(pattern) if item.is_symlink() or not item.is_dir())

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

    def _remove_former_run(self) -> None:
        """Remove only files that the run in the folder can have written, and folders that are then empty.

        After a kill the rest can be resumed or removed, because the record is removed last.
        """
        if self.journal is not None:
            self.journal.open(lambda _: 0)
        if self.kind.record is None:
            return
        record = self.path / self.kind.record.name
        former = _read(record)
        for item in list(self._written_files(former)):
            item.unlink(missing_ok=True)
        for name in {PurePath(pattern).parts[0] for pattern in self.kind.written_files(former)}:
            for place, _, _ in os.walk(self.path / name, topdown=False):
                with contextlib.suppress(OSError):  # it is not empty
                    os.rmdir(place)  # noqa: PTH106 - a path of os.walk
        record.unlink(missing_ok=True)

    def _unfinished_files(self) -> list[Path]:
        """Return the unfinished files in the places of this kind; refuse links to folders there.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        found = [*self.path.glob(".*.tmp")]
        tops = {PurePath(pattern).parts[0] for pattern in self.kind.files}
        for name in [""] if self.kind.needs_empty else tops:
            top = self.path / name
            if name and top.is_symlink() and not top.is_file():
                raise link_error(self.path, top)
            for place, folders, files in os.walk(top):
                for link in (Path(place, own) for own in folders if os.path.islink(Path(place, own))):  # noqa: PTH114
                    raise link_error(self.path, link)
                found += [Path(place, own) for own in files if UNFINISHED.fullmatch(own)]
        return found

    def _error(self, refusal: Refusal, **places: Path) -> MedrovError:
        return refusal.error(**self._places(), **places)

    def _places(self) -> dict[str, Path]:
        record = self.kind.record
        return {"folder": self.path} | ({} if record is None else {"record": self.path / record.name})


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, DocumentError):
        return None
