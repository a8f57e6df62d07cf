"""``medrov data stats``: statistics of a dataset; ``medrov.data.stats/1`` with ``--json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from medrov_cli import console
from medrov_cli.core.settings.data import StatsSettings

if TYPE_CHECKING:
    from medrov_cli.core.curation.stats import DatasetStats


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
        f"{len(stats.classes)} class(es); px: square root of the box area"
    )
    return Group(table, "", summary)


def stats(settings: StatsSettings) -> None:
    """Count images, boxes and box sizes by source, class and split."""
    from medrov_cli.core.curation.stats_page import count_dataset

    with console.progress("classes") as advance:
        counted = count_dataset(settings, advance)
    console.success(counted, _render, as_json=settings.as_json)
    if settings.html is not None:
        console.note(f"written: {settings.html}")
