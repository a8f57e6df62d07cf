"""``medrov data stats``: what a dataset holds; ``medrov.data.stats/1`` with ``--json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType

from medrov_cli import console, options

if TYPE_CHECKING:
    from medrov_cli.core.curation.stats import DatasetStats

PAGE_PANEL = "Page"


def _render(stats: DatasetStats) -> RenderableType:
    places = ["train", "val", "test"]
    if any(own.images["none"] for own in stats.sources):
        places.append("none")
    table = console.table("source", "class", *places, "least px", "median px", "greatest px")
    for column in table.columns[2:]:
        column.justify = "right"
    for own in stats.sources:
        table.add_row(
            f"{own.name} ({own.modality})", "images", *(str(own.images[p]) for p in places), "", "", ""
        )
        for one in own.classes:
            sides = ("-",) * 3 if one.side_px is None else tuple(f"{side:.1f}" for side in one.side_px)
            table.add_row("", one.name, *(str(one.boxes[p]) for p in places), *sides)
    summary = (
        f"{len(stats.sources)} source(s), {stats.images} image(s), {stats.boxes} box(es), "
        f"{len(stats.classes)} class(es); px: side of a box, the root of its area"
    )
    return Group(table, "", summary)


def stats(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="DATASET.yaml|SOURCE_DIR...", help="A dataset yaml, or source folders."),
    ],
    data_root: options.DataRoot = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a page with pictures of each class; it holds parts of the images.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = None,
    per_class: Annotated[
        int, typer.Option("--per-class", min=1, help="Pictures of a class.", rich_help_panel=PAGE_PANEL)
    ] = 8,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the choice of boxes.", rich_help_panel=PAGE_PANEL)
    ] = 0,
    as_json: options.Json = False,
) -> None:
    """Count images, boxes and their sizes by source, class and split; show some of each class."""
    from medrov_cli.core.curation.stats_page import count_dataset

    with console.progress("classes") as advance:
        counted = count_dataset(inputs, data_root, html, per_class, seed, advance)
    console.success(counted, _render, as_json=as_json)
    if html is not None:
        console.note(f"written: {html}")
