"""Protocol of an output format of ``medrov detect``.

A format is a file of this package that ends with ``WRITER: Writer = ...``, and a row in
``writers/registry.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from medrov_cli.core.base.errors import MedrovError, place_of
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.settings.choices import Phi

Records = Callable[[], Iterable[JsonRecord]]
"""Function that reads the records of schema ``medrov.detect/1`` at each call, without keeping them in
memory."""


LeaveOut = Callable[[str, str], None]
"""Function of a path and a reason: a clause without a capital and a full stop, without patient data."""


UNEXPECTED = "its result failed; please report this bug: unexpected"


def _ignore(path: str, reason: str) -> None:
    """Report nothing."""
    del path, reason


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts about the complete run, for formats.

    Attributes
    ----------
    classes
        Names of all classes, in the order of their indices.
    summary
        ``summary`` object of a JSON document, with the counts.
    phi
        DICOM identifiers that may leave the program.
    leave_out
        Called with the path and the reason for each image that a format cannot contain.
    volumes
        Function that reads the records of volumes, of schema ``medrov.findings/1``, at each call.
    description
        Document ``run.json``.
    records_sha256
        SHA-256 of ``detections.jsonl``.
    headers
        Headers of images that a format of this run has read, for the next format; their number is limited.
    """

    classes: Sequence[str]
    summary: Mapping[str, Any]
    phi: Phi = Phi.DROP
    leave_out: LeaveOut = _ignore
    volumes: Records = tuple
    description: Mapping[str, Any] = field(default_factory=dict)
    records_sha256: str = ""
    headers: dict[Hashable, Any] = field(default_factory=dict)

    @contextmanager
    def leaving_out_failures(self, paths: Iterable[str]) -> Iterator[None]:
        """Leave out images of which a part of a result fails unexpectedly: the rest of the run is written.

        Raises
        ------
        MedrovError, OSError, MemoryError
            The result cannot be written, or the machine has no memory left.
        """
        try:
            yield
        except (MedrovError, OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - libraries raise any exception for unusual headers
            for path in paths:
                self.leave_out(path, f"{UNEXPECTED} {type(error).__name__} at {place_of(error)}")


class _Format(Protocol):
    """Attributes of all formats."""

    @property
    def name(self) -> str:
        """Value of ``--format``."""

    @property
    def needs_folder(self) -> bool:
        """Whether the format requires ``--output``."""

    @property
    def files(self) -> tuple[str, ...]:
        """Patterns of its files, relative to the output folder, for :meth:`pathlib.Path.glob`."""


@runtime_checkable
class RecordWriter(_Format, Protocol):
    """Format with files for each image."""

    @property
    def suffix(self) -> str:
        """Suffix of the files, with its dot."""

    def write_record(self, folder: Path, name: str, detections: Detections, pixels_rgb: UInt8Array) -> None:
        """Write the files of one image, before its record is appended to the journal.

        Parameters
        ----------
        folder
            Output folder.
        name
            Path of the input, or another name that no other input has, for
            :func:`medrov_cli.core.writers.naming.output_path`.
        detections
            Detections of the record, highest score first; the classes are those of the run.
        pixels_rgb
            uint8, (height, width, 3), in source pixels; smaller for an image that is read by regions.
        """


@runtime_checkable
class ViewWriter(_Format, Protocol):
    """Format with files from all records."""

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the files, at the end of the run.

        Parameters
        ----------
        folder
            Output folder.
        records
            All records of the run, including those of failed inputs.
        run
            Facts about the run.
        """


@runtime_checkable
class EarlyWriter(Protocol):
    """Format whose library takes long to import."""

    def prepare(self) -> None:
        """Import the library; called in a thread of its own while the model is loaded."""


Writer = RecordWriter | ViewWriter
