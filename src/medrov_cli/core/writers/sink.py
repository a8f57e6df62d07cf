"""Output of detections to a folder: the journal during the run, every other format at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import sha256_of_file, whole_file
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.journal import Journal, JsonRecord, read_records
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.writers.findings_file import FINDINGS_FILE, write_findings
from medrov_cli.core.writers.format_files import find_writer, write_pictures
from medrov_cli.core.writers.json_lines import JSONL_FILE
from medrov_cli.core.writers.naming import distinct_names
from medrov_cli.core.writers.protocol import EarlyWriter, RecordWriter, RunFacts, ViewWriter
from medrov_cli.core.writers.run_files import run_kind


class LeftOut(NamedTuple):
    """Image that a format cannot contain: name of the format, path, and the reason as a clause."""

    format: str
    path: str
    reason: str


class OutputFolder:
    """Writer of a run's records to the journal, and of every other format from them at the end.

    ``detections.jsonl`` is always written: the other formats are views of it.

    Parameters
    ----------
    path
        Output folder; created if it does not exist.
    formats
        Names of the formats to write.
    classes
        All classes of the run, in the order of their indices.
    inputs
        Paths of all inputs, also those of other shards: the names of files differ from each other.
    can_resume
        Whether the command can continue a run.

    Attributes
    ----------
    names
        Names of the files of inputs whose first choice could collide, by path, for each format with files for
        each image.
    """

    def __init__(
        self,
        path: Path,
        formats: Sequence[str],
        classes: Sequence[str],
        inputs: Iterable[str] = (),
        *,
        can_resume: bool = True,
    ) -> None:
        self.path = path
        self.classes = classes
        writers = [find_writer(name) for name in formats]
        self._of_records = [writer for writer in writers if isinstance(writer, RecordWriter)]
        paths = list(inputs) if self._of_records else []
        self.names = {writer.name: distinct_names(paths, writer.suffix) for writer in self._of_records}
        self._of_views = [writer for writer in writers if isinstance(writer, ViewWriter)]
        self._journal = Journal(path / JSONL_FILE)
        self._run = RunFolder(path, run_kind(can_resume=can_resume), self._journal)
        self._description: Mapping[str, Any] = {}

    @property
    def is_complete(self) -> bool:
        """Return whether an earlier run is complete."""
        return self._run.is_complete

    @property
    def needs_pixels(self) -> bool:
        """Return whether a format draws on the images."""
        return bool(self._of_records)

    def claim(self, description: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Write the description of this run, or compare it with that of an earlier run.

        Parameters
        ----------
        description
            Document ``run.json``; equal runs give equal documents.
        resume, overwrite
            Whether to continue, or to remove, an earlier run.

        Raises
        ------
        MedrovError
            See :meth:`medrov_cli.core.runs.folder.RunFolder.claim`.
        """
        self._description = description
        self._run.claim(description, resume=resume, overwrite=overwrite)

    def open(self, keep: Callable[[Iterator[dict[str, Any]]], int]) -> None:
        """Open the journal of records; see :meth:`Journal.open`."""
        self._journal.open(keep)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all written records."""
        return read_records(self._journal.path) if self.is_complete else self._journal.records()

    def write(self, record: JsonRecord, pixels_rgb: UInt8Array | None) -> None:
        """Write the files of one record, and then the record.

        Parameters
        ----------
        record
            The next record, of schema ``medrov.detect/1`` or ``medrov.findings/1``.
        pixels_rgb
            uint8, (height, width, 3): the image, if a format draws on it.
        """
        if pixels_rgb is not None and self._of_records:
            write_pictures(self.path, record, pixels_rgb, self.classes, self.names)
        self._journal.append(record)

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Write files that a worker made for the next record, by their paths in the folder."""
        for name, content in files.items():
            with whole_file(self.path / name) as temporary:
                temporary.write_bytes(content)

    def finish(self, summary: Mapping[str, Any], phi: Phi = Phi.DROP) -> list[LeftOut]:
        """Write every other format, and publish the journal last.

        Parameters
        ----------
        summary
            ``summary`` object of a JSON document.
        phi
            DICOM identifiers that may leave the program.

        Returns
        -------
        list
            Images that a format cannot contain.
        """
        left_out: list[LeftOut] = []
        if any(True for _ in self._volumes()):
            write_findings(self.path / FINDINGS_FILE, self._volumes())
        digest = sha256_of_file(self._journal.partial) if self._of_views else ""
        headers: dict[Hashable, Any] = {}
        for writer in self._of_views:

            def leave_out(path: str, reason: str, name: str = writer.name) -> None:
                left_out.append(LeftOut(name, path, reason))

            run = RunFacts(
                self.classes, summary, phi, leave_out, self._volumes, self._description, digest, headers
            )
            writer.finish(self.path, self._images, run)
        self._run.finish()
        return left_out

    def _images(self) -> Iterator[dict[str, Any]]:
        """Yield the records of images and failed inputs."""
        return (record for record in self._journal.records() if not is_volume_record(record))

    def _volumes(self) -> Iterator[dict[str, Any]]:
        """Yield the records of volumes."""
        return filter(is_volume_record, self._journal.records())

    def close(self) -> None:
        """Release the folder; written files stay, for ``--resume``."""
        self._run.close()


def require_free(path: Path) -> None:
    """Refuse a folder that contains a run.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    RunFolder(path, run_kind()).check(None, resume=False, overwrite=False)


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


def prepare_formats(formats: Sequence[str]) -> None:
    """Import slow libraries of formats in a thread, while the model is loaded and images are searched.

    A library that is missing or fails is reported by the writer that needs it.
    """
    early = [writer for writer in map(find_writer, formats) if isinstance(writer, EarlyWriter)]

    def prepare() -> None:
        for writer in early:
            with suppress(Exception):
                writer.prepare()

    if early:
        threading.Thread(target=prepare, name="medrov-formats", daemon=True).start()
