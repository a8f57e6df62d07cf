"""What the runs of one command keep in their output folder."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.runs.identity import Refusal


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The file that describes a run.

    Attributes
    ----------
    name
        Name in the folder.
    changed
        Refusal to resume a run with another record.
    ignored
        Fields at the top level that may change.
    """

    name: str
    changed: Refusal
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RunKind:
    """What the runs of one command keep in their folder.

    Attributes
    ----------
    taken
        Refusal of a folder with an earlier run, where neither ``resume`` nor ``overwrite`` is given.
    marks
        Names or patterns of files: one of them shows an earlier run.
    record
        None: the first line of each journal describes the run.
    foreign
        Refusal of a folder without a record whose files are of something else; None: any folder will do.
    needs_empty
        Whether such a folder has to be empty. Otherwise only ``last`` must be absent.
    last
        File that takes its name last; None: the kind has no such file.
    files
        Further files and folders that a run writes: ``overwrite`` removes them.
    """

    taken: Refusal
    marks: tuple[str, ...]
    record: RecordFile | None = None
    foreign: Refusal | None = None
    needs_empty: bool = False
    last: str | None = None
    files: tuple[str, ...] = ()


def exclusive_kind(record: str, last: str | None = None) -> RunKind:
    """Return the kind of runs that need a new or empty folder, and cannot overwrite one.

    Parameters
    ----------
    record
        Name of the file that describes a run.
    last
        File that takes its name last.
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
