"""Records of detections into a folder: the journal as they come, every other format at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.plugins import find_entry, load
from medrov_cli.core.records.detect_json import record_to_detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.journal import Journal, JsonRecord, read_records
from medrov_cli.core.runs.kind import RecordFile, RunKind
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.protocol import RecordWriter, RunFacts, ViewWriter, Writer
from medrov_cli.core.writers.registry import WRITERS

RUN_FILE = "run.json"


class OutputFolder:
    """Write a run's records as they come, and every other format from them at the end.

    ``detections.jsonl`` is always written: the other formats are views of it.

    Parameters
    ----------
    path
        The folder. Made if need be.
    formats
        Names of the formats to write.
    classes
        All classes of the run, in the order of their indices.
    """

    def __init__(self, path: Path, formats: Sequence[str], classes: Sequence[str]) -> None:
        self.path = path
        self.classes = classes
        writers = [find_writer(name) for name in formats]
        self._of_records = [writer for writer in writers if isinstance(writer, RecordWriter)]
        self._of_views = [writer for writer in writers if isinstance(writer, ViewWriter)]
        self._journal = Journal(path / JSONL_FILE)
        self._run = RunFolder(path, run_kind(), self._journal)

    @property
    def is_complete(self) -> bool:
        """Tell whether an earlier run has written everything."""
        return self._run.is_complete

    @property
    def needs_pixels(self) -> bool:
        """Tell whether a format draws on the images."""
        return bool(self._of_records)

    def claim(self, description: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Write what this run is, or check that an earlier run here was the same.

        Parameters
        ----------
        description
            The document ``run.json``. The same run gives the same document.
        resume, overwrite
            Continue, or remove, what an earlier run left.

        Raises
        ------
        MedrovError
            See :meth:`medrov_cli.core.runs.folder.RunFolder.claim`.
        """
        self._run.claim(description, resume=resume, overwrite=overwrite)

    def open(self, keep: Callable[[Iterator[dict[str, Any]]], int]) -> None:
        """Open the journal of records; see :meth:`Journal.open`."""
        self._journal.open(keep)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all records that are written."""
        return read_records(self._journal.path) if self.is_complete else self._journal.records()

    def write(self, record: JsonRecord, pixels_rgb: UInt8Array | None) -> None:
        """Write one record, after the files that belong to it.

        Parameters
        ----------
        record
            The next record, of schema ``medrov.detect/1``.
        pixels_rgb
            uint8, (height, width, 3): the image, where a format draws on it.
        """
        if pixels_rgb is not None and self._of_records:
            detections = record_to_detections(record, self.classes)
            for writer in self._of_records:
                writer.write_record(self.path, detections, pixels_rgb)
        self._journal.append(record)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write every other format, and give the file of records its name last."""
        for writer in self._of_views:
            writer.finish(self.path, self._journal.records, RunFacts(self.classes, summary))
        self._run.finish()

    def close(self) -> None:
        """Release the folder; what is written stays, for ``--resume``."""
        self._run.close()


def require_free(path: Path) -> None:
    """Refuse a folder that holds a run.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    RunFolder(path, run_kind()).require_free(resume=False, overwrite=False)


def require_folder(formats: Sequence[str]) -> None:
    """Refuse formats that need an output folder, in a run without one.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    for name in formats:
        if find_writer(name).needs_folder:
            raise usage_error(
                f"--format {name} needs --output",
                "Give the folder to write to: --output results.",
            )


def is_overlay(path: Path, file: str) -> bool:
    """Tell whether a file is an image that a run wrote into the folder ``path``."""
    place = Path(file).absolute()
    return any(place.is_relative_to((path / name).absolute()) for name in _image_folders())


def all_writers() -> list[Writer]:
    """Return the implementations of all formats, in the order of the registry."""
    return [load(entry) for entry in WRITERS]


def find_writer(name: str) -> Writer:
    """Return the implementation of a format.

    Raises
    ------
    ValueError
        For a name that is not in the registry.
    """
    entry = find_entry(WRITERS, name)
    if entry is None:
        raise ValueError(f"unknown format {name!r}")
    writer: Writer = load(entry)
    return writer


@cache
def _image_folders() -> tuple[str, ...]:
    """Return the folders of the formats that draw on images."""
    return tuple(
        name for writer in all_writers() if isinstance(writer, RecordWriter) for name in writer.files
    )


@cache
def run_kind() -> RunKind:
    """Return what a detection run keeps in its folder."""
    return RunKind(
        taken=Refusal(
            "--output {folder} already contains a run",
            "Add --resume to continue it, --overwrite to replace it, or give another --output.",
        ),
        marks=(RUN_FILE,),
        record=RecordFile(
            RUN_FILE,
            changed=Refusal(
                "--resume: the run in {folder} had another {name}: {old}, now {new}",
                f"Repeat the settings of its {RUN_FILE}, give another --output, or add --overwrite.",
            ),
        ),
        foreign=Refusal(
            f"--output {{folder}}: {JSONL_FILE} exists without its {RUN_FILE}",
            "Give another --output, or move the file away.",
        ),
        last=JSONL_FILE,
        files=tuple(name for writer in all_writers() for name in writer.files if name != JSONL_FILE),
    )
