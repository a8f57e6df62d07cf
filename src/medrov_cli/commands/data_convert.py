"""``medrov data convert``: one source folder from masks, boxes or volumes; ``medrov.data.convert/1``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Group, RenderableType

from medrov_cli import console
from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.settings.data_convert import ConvertSettings

if TYPE_CHECKING:
    from medrov_cli.core.curation.convert import Converted


@dataclass(frozen=True, slots=True)
class ConvertOutput:
    """Conversion as schema ``medrov.data.convert/1``."""

    output: Path
    converted: Converted

    def as_dict(self) -> Mapping[str, Any]:
        """Return the JSON document."""
        own = self.converted
        return {
            "schema": "medrov.data.convert/1",
            "output": str(self.output),
            "images": own.images,
            "boxes": sum(own.classes.values()),
            "classes": dict(own.classes),
            "splits": dict(own.splits),
            "skipped_empty": own.skipped_empty,
            "clipped_boxes": own.clipped,
            "dropped_boxes": own.dropped,
            "repeated_boxes": own.repeated,
            "warnings": list(own.warnings),
            "failures": [{"path": item.path, "error": item.error.as_dict()} for item in own.failures],
        }


def _render(output: ConvertOutput) -> RenderableType:
    own = output.converted
    table = console.table("class", "boxes")
    table.columns[1].justify = "right"
    for name, boxes in own.classes.items():
        table.add_row(name, str(boxes))
    splits = ", ".join(f"{split} {images}" for split, images in own.splits.items() if images)
    return Group(table, "", f"{own.images} image(s) in {output.output}" + (f" ({splits})" if splits else ""))


def convert(settings: ConvertSettings) -> None:
    """Convert masks or boxes to a source folder.

    An input that fails is reported, and the other inputs are converted.
    """
    from medrov_cli.core.curation.convert import convert as run

    with console.progress("inputs") as advance:
        converted = run(settings, advance)
    _warn(converted)
    console.success(ConvertOutput(settings.output, converted), _render, as_json=settings.as_json)
    if not converted.images:
        raise typer.Exit(ExitCode.NO_INPUT)
    if converted.failures:
        raise typer.Exit(ExitCode.PARTIAL)


def _warn(converted: Converted) -> None:
    for failure in converted.failures:
        console.fail(f"{failure.path}: {failure.error.message}", failure.error.hint)
    for warning in converted.warnings:
        console.warn(warning)
    if converted.clipped or converted.dropped:
        console.warn(
            f"{converted.clipped} box(es) extend beyond their image and were cut; {converted.dropped} lie "
            "outside and were removed"
        )
