"""``medrov data phantom``: synthetic images with exact boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from medrov_cli import console
from medrov_cli.core.settings.data import PhantomSettings

if TYPE_CHECKING:
    from medrov_cli.core.curation.phantom_folders import PhantomSource

SCHEMA = "medrov.data.phantom/1"


@dataclass(frozen=True, slots=True)
class PhantomOutput:
    """Document of the written sources.

    Attributes
    ----------
    output
        Folder of the sources.
    sources
        One source per modality.
    """

    output: str
    sources: tuple[PhantomSource, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "output": self.output,
            "sources": [
                {
                    "name": source.name,
                    "modality": source.modality.value,
                    "images": source.images,
                    "boxes": source.boxes,
                    "classes": list(source.classes),
                }
                for source in self.sources
            ],
        }


def _render(output: PhantomOutput) -> RenderableType:
    table = console.table("source", "modality", "images", "boxes", "classes")
    for column in table.columns[2:4]:
        column.justify = "right"
    for source in output.sources:
        classes = ", ".join(source.classes)
        table.add_row(source.name, source.modality.value, str(source.images), str(source.boxes), classes)
    return table


def phantom(settings: PhantomSettings) -> None:
    """Draw synthetic images of nine modalities, with the exact box of every object.

    They test a pipeline, and do not measure accuracy on patients. Each is marked SYNTHETIC.
    """
    from medrov_cli.core.curation.phantoms import run_phantoms

    with console.progress("images") as advance:
        sources = run_phantoms(settings, advance)
    console.success(PhantomOutput(str(settings.output), sources), _render, as_json=settings.as_json)
