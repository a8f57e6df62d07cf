"""Protocol of an output format of ``medrov detect``.

A format is a file of this package that ends with ``WRITER: Writer = ...``, and a row in
``writers/registry.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.journal import JsonRecord

Records = Callable[[], Iterable[JsonRecord]]
"""Returns the records of schema ``medrov.detect/1`` anew each time, so that none has to stay in memory."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a format may need to know about the whole run.

    Attributes
    ----------
    classes
        Names of all classes, in the order of their indices.
    summary
        Counts: the ``summary`` object of a JSON document.
    """

    classes: Sequence[str]
    summary: Mapping[str, Any]


class _Format(Protocol):
    """What all formats have: class attributes of these names."""

    @property
    def name(self) -> str:
        """Value of ``--format``."""

    @property
    def needs_folder(self) -> bool:
        """Whether the format exists only with ``--output``."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files and folders that it writes into the output folder."""


@runtime_checkable
class RecordWriter(_Format, Protocol):
    """A format that draws on each image."""

    def write_record(self, folder: Path, detections: Detections, pixels_rgb: UInt8Array) -> None:
        """Write the files of one image, before its record is appended to the journal.

        Parameters
        ----------
        folder
            Output folder.
        detections
            As their record gives them, best score first; the classes are those of the run.
        pixels_rgb
            uint8, (height, width, 3), in source pixels.
        """


@runtime_checkable
class ViewWriter(_Format, Protocol):
    """A format that is a view of all records."""

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the view, at the end of the run.

        Parameters
        ----------
        folder
            Output folder.
        records
            All records of the run, with those of inputs that failed.
        run
            Facts about the run.
        """


Writer = RecordWriter | ViewWriter
