"""``medrov data split``: train, val and test splits; ``medrov.data.split/1`` with ``--json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Group, RenderableType

from medrov_cli import console
from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.settings.choices import SPLITS
from medrov_cli.core.settings.data_split import SplitSettings

if TYPE_CHECKING:
    from medrov_cli.core.curation.split import SplitResult

SHOWN_MOVES = 20
"""Maximum number of rows of moved images in the table; the JSON document has all."""


@dataclass(frozen=True, slots=True)
class SplitOutput:
    """Document of schema ``medrov.data.split/1``."""

    result: SplitResult
    path: Path
    seed: int | None

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
            "near_copies": None
            if own.copy_pairs is None
            else {"pairs": own.copy_pairs, "cases": own.joined_cases, "groups": own.joined_groups},
            "moved": None
            if own.moved is None
            else {
                "images": len(own.moved),
                "cases": own.moved_cases,
                "records": [record.as_dict() for record in own.moved],
            },
            "classes": [
                {"class": name, "images": dict(own.class_images[name]), "boxes": dict(own.class_boxes[name])}
                for name in own.class_images
            ],
            "failures": [{"path": path, "error": error.as_dict()} for path, error in own.failures],
        }


def _render(output: SplitOutput) -> RenderableType:
    own = output.result
    table = console.table("", *SPLITS)
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("images", *(str(own.images[s]) for s in own.images))
    table.add_row("cases", *(str(own.cases[s]) for s in own.cases))
    for name in own.class_images:
        pairs = zip(own.class_images[name].values(), own.class_boxes[name].values(), strict=True)
        table.add_row(f"{name}: images/boxes", *(f"{images}/{boxes}" for images, boxes in pairs))
    if not own.moved:
        return table
    moved = console.table("moved", "from", "to", "reason")
    for record in own.moved[:SHOWN_MOVES]:
        moved.add_row(record.file_name, record.before, record.after, record.reason.value)
    if len(own.moved) > SHOWN_MOVES:
        moved.add_row(f"and {len(own.moved) - SHOWN_MOVES} more: see --json", "", "", "")
    return Group(moved, "", table)


def split(settings: SplitSettings) -> None:
    """Divide the images of a source into train, val and test by patient, stratified by class.

    Images of one case, and near-copies, stay in one split. An image without a case counts as a separate
    patient. The new splits replace those in annotations.json.
    """
    from medrov_cli.core.curation.split import split_source
    from medrov_cli.core.datasets.sources import ANNOTATIONS

    with console.progress("images") as advance:
        result = split_source(settings, advance)
    _warn(result)
    path = settings.output or settings.source / ANNOTATIONS
    written = SplitOutput(result, path, None if settings.repair else settings.shares.seed)
    console.success(written, _render, as_json=settings.as_json)
    if result.moved == () and settings.output is None:
        console.note(f"nothing to repair: {path} is unchanged")
    else:
        console.note(f"written: {path}")
    if result.failures:
        raise typer.Exit(ExitCode.PARTIAL)


def _warn(result: SplitResult) -> None:
    for path, error in result.failures:
        console.warn(f"{path}: {error.message}")
    if result.without_case and result.moved is None:
        console.warn(f"{result.without_case} image(s) have no case: each counts as a separate patient")
    if result.joined_groups:
        console.note(
            f"{result.joined_cases} cases contain near-copies of each other: they are kept together in "
            f"{result.joined_groups} group(s)"
        )
    if result.moved:
        console.note(f"moved: {len(result.moved)} image(s) of {result.moved_cases} case(s)")
