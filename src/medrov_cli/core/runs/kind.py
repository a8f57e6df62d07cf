"""Kinds of runs: the files of a command in its output folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.runs.identity import Refusal


@dataclass(frozen=True, slots=True)
class RecordFile:
    """File that describes a run.

    Attributes
    ----------
    name
        Name in the folder.
    changed
        Refusal to resume a run with another record.
    ignored
        Fields at the top level that may differ.
    """

    name: str
    changed: Refusal
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RunKind:
    """Files of the runs of one command, and the conditions of their folder.

    Attributes
    ----------
    taken
        Refusal of a folder with an earlier run, without ``resume`` or ``overwrite``.
    marks
        Names or patterns of files that show an earlier run.
    record
        None: the first line of each journal describes the run.
    foreign
        Refusal of a folder without a run that contains files with the names of this kind; None: any folder
        is allowed. Runs without a record can replace such files with ``overwrite``.
    needs_empty
        Whether a folder without a run has to be empty. Otherwise ``last`` and ``files`` must be absent.
    last
        File that is completed last; None: the kind has no last file.
    files
        Patterns of further files that a run writes, relative to the folder, for :meth:`pathlib.Path.glob`.
    files_of
        Function of a record to those of ``files`` that its run can have written: ``overwrite`` removes them.
        None: all.
    is_shared
        Whether runs of this kind write in one folder at the same time, each to its own journal. They
        share the lock of the folder, and leave unfinished files there.
    """

    taken: Refusal
    marks: tuple[str, ...]
    record: RecordFile | None = None
    foreign: Refusal | None = None
    needs_empty: bool = False
    last: str | None = None
    files: tuple[str, ...] = ()
    files_of: Callable[[Any], tuple[str, ...]] | None = None
    is_shared: bool = False

    def written_files(self, record: Any) -> tuple[str, ...]:
        """Return the patterns of the files of a run with a record, except its marks and the record."""
        own = self.files if self.files_of is None else self.files_of(record)
        return own if self.last is None else (self.last, *own)


def exclusive_kind(record: str, last: str | None = None) -> RunKind:
    """Return a kind of runs that need a new or empty folder, and cannot overwrite one.

    Parameters
    ----------
    record
        Name of the file that describes a run.
    last
        File that is completed last.
    """
    return RunKind(
        taken=Refusal(
            "--output: {record} already exists", "Add --resume to continue, or give another folder."
        ),
        marks=(record,),
        record=RecordFile(
            record,
            changed=Refusal(
                "--resume: {record} records other inputs or options ({name}: {old}, now {new})",
                "Repeat its settings, or give another folder.",
            ),
        ),
        foreign=Refusal("--output: {folder} contains other files", "Give a new or an empty folder."),
        needs_empty=True,
        last=last,
    )
