"""``medrov data merge``: one dataset from source folders; ``medrov.data.merge/1`` with ``--json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import RenderableType

from medrov_cli import console
from medrov_cli.core.settings.data import MergeSettings

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


def merge(settings: MergeSettings) -> None:
    """Join source folders to one dataset, with a class map and a generated presence table.

    Unchanged sources are referenced by relative paths. Changed sources are written below the output,
    with hard links to their images. Existing files are not changed.
    """
    from medrov_cli.core.curation.merge import DATASET, PRESENCE, merge_sources

    with console.progress("images") as advance:
        merged = merge_sources(settings, advance)
    console.success(merged, _render, as_json=settings.as_json)
    output = settings.output
    console.note(f"written: {output / DATASET}, {output / PRESENCE}: a generated table; check it")
