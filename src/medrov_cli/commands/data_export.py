"""``medrov data export``: a dataset for another tool; ``medrov.data.export/1`` with ``--json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from medrov_cli import console
from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.settings.data_export import DataExportSettings

if TYPE_CHECKING:
    from medrov_cli.core.curation.dataset_export import DatasetExportResult

SCHEMA = "medrov.data.export/1"


@dataclass(frozen=True, slots=True)
class DatasetExportOutput:
    """Document of an export.

    Attributes
    ----------
    format
        Format of the other tool.
    result
        Result of the run.
    """

    format: str
    result: DatasetExportResult

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "format": self.format,
            "file": str(self.result.file),
            "images": self.result.images,
            "boxes": self.result.boxes,
            "classes": list(self.result.classes),
            "unmarked_pseudo": self.result.written.unmarked,
            "left_out": {"crowds": self.result.written.crowds, "outside": self.result.written.outside},
            "failures": [{"path": path, "error": error.as_dict()} for path, error in self.result.failures],
        }


def _render(output: DatasetExportOutput) -> str:
    result = output.result
    return f"{result.file}: {result.images} images, {result.boxes} boxes, {len(result.classes)} classes"


def export(settings: DataExportSettings) -> None:
    """Write a dataset for another program: COCO, YOLO, Pascal VOC, Label Studio or CVAT.

    'medrov data convert' reads all of these formats.
    """
    from medrov_cli.core.curation.dataset_export import run_export

    with console.progress("images") as advance:
        result = run_export(settings, advance)
    for path, error in result.failures:
        console.warn(f"{path}: {error.message}")
    lost = result.written
    if lost.crowds or lost.outside:
        console.warn(
            f"omitted: {lost.crowds} boxes of crowds, which the format cannot mark, and {lost.outside} "
            "boxes outside of their images"
        )
    if lost.unmarked:
        console.warn(
            f"{lost.unmarked} boxes of a detector (source: pseudo) are written like those of people: the "
            "format cannot mark them"
        )
    console.success(DatasetExportOutput(settings.to, result), _render, as_json=settings.as_json)
    if result.failures:
        raise typer.Exit(ExitCode.PARTIAL)
