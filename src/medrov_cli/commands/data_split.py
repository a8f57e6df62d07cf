"""``medrov data split``: images into train, val and test; ``medrov.data.split/1`` with ``--json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from medrov_cli import console, options

if TYPE_CHECKING:
    from medrov_cli.core.building.split import SplitResult

SPLITS_PANEL = "Splits"
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class SplitOutput:
    """The document of schema ``medrov.data.split/1``."""

    result: SplitResult
    path: Path
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        own = self.result
        return {
            "schema": "medrov.data.split/1",
            "source": own.source,
            "path": str(self.path),
            "seed": self.seed,
            "images": dict(own.images),
            "cases": dict(own.cases),
            "images_without_case": own.without_case,
            "classes": [
                {"class": name, "images": dict(own.class_images[name]), "boxes": dict(own.class_boxes[name])}
                for name in own.class_images
            ],
        }


def _render(output: SplitOutput) -> RenderableType:
    own = output.result
    table = console.table("", *_SPLITS)
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("images", *(str(own.images[s]) for s in own.images))
    table.add_row("cases", *(str(own.cases[s]) for s in own.cases))
    for name in own.class_images:
        pairs = zip(own.class_images[name].values(), own.class_boxes[name].values(), strict=True)
        table.add_row(f"{name}: images/boxes", *(f"{images}/{boxes}" for images, boxes in pairs))
    return table


def split(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE_DIR", help="Folder with annotations.json and images/.")
    ],
    val: Annotated[
        float,
        typer.Option("--val", min=0, max=1, help="Share of images for val.", rich_help_panel=SPLITS_PANEL),
    ] = 0.1,
    test: Annotated[
        float,
        typer.Option("--test", min=0, max=1, help="Share of images for test.", rich_help_panel=SPLITS_PANEL),
    ] = 0.2,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Another one deals otherwise.", rich_help_panel=SPLITS_PANEL)
    ] = 0,
    keep_test: Annotated[
        bool,
        typer.Option(
            "--keep-test",
            help="Leave the test split as it is, and deal the others; --test is not used.",
            rich_help_panel=SPLITS_PANEL,
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="annotations.json to write, in place of the source's own.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Deal the images of a source into train, val and test: by patient, classes evenly.

    Images of one case stay together; an image without a case is dealt by itself. The splits replace
    those in annotations.json.
    """
    from medrov_cli.core.building.split import SplitConfig, split_source
    from medrov_cli.core.data.source import ANNOTATIONS

    result = split_source(source, SplitConfig(val, test, seed, keep_test), output)
    if result.without_case:
        console.warn(f"{result.without_case} image(s) have no case: each was dealt as a patient of its own")
    written = SplitOutput(result, output or source / ANNOTATIONS, seed)
    console.success(written, _render, as_json=as_json)
    console.note(f"written: {written.path}")
