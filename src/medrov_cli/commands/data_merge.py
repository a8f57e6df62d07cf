"""``medrov data merge``: source folders become one dataset; ``medrov.data.merge/1`` with ``--json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from medrov_cli import console, options

if TYPE_CHECKING:
    from medrov_cli.core.curation.merge import Merged


def _render(merged: Merged) -> RenderableType:
    table = console.table("source", "images", "boxes", "classes", "renamed", "dropped", "folder")
    for own in merged.sources:
        table.add_row(
            own.name,
            str(own.images),
            str(own.boxes),
            ", ".join(own.classes),
            ", ".join(f"{old} -> {new}" for old, new in own.renamed.items()),
            ", ".join(own.dropped),
            own.path,
        )
    return table


def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE_DIR...", help="Folders with annotations.json and images/.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for dataset.yaml, presence.csv and merge.json.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ],
    class_map: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="Class map, a yaml with rename, drop, synonyms, and sources for rules of one source.",
            rich_help_panel=options.CLASSES_PANEL,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="TEXT",
            help="Name of the dataset; that of the folder by default.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace a dataset in the same folder, with its presence.csv.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Join source folders and a class map to one dataset, with a draft of its presence table.

    Sources whose classes stay are named by relative paths; others are written below the output, with
    hard links to their images. Nothing that is there already is changed.
    """
    from medrov_cli.core.curation.merge import DATASET, PRESENCE, merge_sources

    with console.progress("images") as advance:
        merged = merge_sources(sources, output, class_map, name, overwrite=overwrite, progress=advance)
    console.success(merged, _render, as_json=as_json)
    console.note(f"written: {output / DATASET}, {output / PRESENCE}: a draft, to be looked over")
