"""``medrov data phantom``: synthetic images of nobody, with exact boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType

from medrov_cli import console, options
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import Modality

if TYPE_CHECKING:
    from medrov_cli.core.curation.phantom_folders import PhantomSource

SCHEMA = "medrov.data.phantom/1"
DRAWING_PANEL = "What to draw"


@dataclass(frozen=True, slots=True)
class PhantomOutput:
    """What was written.

    Attributes
    ----------
    output
        Folder of the sources.
    sources
        One a modality.
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


def _parse(texts: list[str]) -> tuple[Modality, ...]:
    """Return the modalities of ``--modality``, which may be repeated or have commas."""
    try:
        return tuple(Modality.parse(part) for text in texts for part in text.split(","))
    except ValueError as error:
        raise MedrovError(ErrorCode.USAGE, f"--modality: {error}.", "Leave it out for all nine.") from error


def phantom(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for one folder a modality.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ],
    count: Annotated[
        int,
        typer.Option("--count", min=1, metavar="N", help="Images a modality.", rich_help_panel=DRAWING_PANEL),
    ] = 100,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            metavar="N",
            help="Other seeds give other images, the same one the same bytes.",
            rich_help_panel=DRAWING_PANEL,
        ),
    ] = 0,
    modality: Annotated[
        list[str] | None,
        typer.Option(
            "--modality",
            metavar="LIST",
            help=f"{', '.join(Modality)}; several with commas. Default: all that the format can hold.",
            rich_help_panel=DRAWING_PANEL,
        ),
    ] = None,
    form: Annotated[
        Literal["png", "masks", "dicom", "nifti"],
        typer.Option(
            "--format",
            "-f",
            help="png: source folders. For 'data convert': masks (PNG, a mask a class), dicom (CT slices, a "
            "table of boxes), nifti (CT volumes with labels).",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ] = "png",
    resume: options.Resume = False,
    as_json: options.Json = False,
) -> None:
    """Draw synthetic images of nine modalities, with the exact box of every object.

    They show that a pipeline works, not how well a model does on patients. Each is marked as SYNTHETIC.
    """
    from medrov_cli.core.curation.phantoms import PhantomConfig, run_phantoms

    config = PhantomConfig(
        output=output,
        count=count,
        seed=seed,
        modalities=_parse(modality or []),
        form=form,
        resume=resume,
    )
    with console.progress("images") as advance:
        sources = run_phantoms(config, advance)
    console.success(PhantomOutput(str(output), sources), _render, as_json=as_json)
