"""``medrov data presence``: a draft of the presence table; ``medrov.data.presence/1`` with ``--json``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from medrov_cli import console, options

if TYPE_CHECKING:
    from medrov_cli.core.curation.presence_writing import PresenceResult


@dataclass(frozen=True, slots=True)
class PresenceOutput:
    """The document of schema ``medrov.data.presence/1``."""

    result: PresenceResult

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        draft = self.result.draft
        return {
            "schema": "medrov.data.presence/1",
            "dataset": self.result.dataset,
            "path": str(self.result.path),
            "sources": list(draft.sources),
            "classes": list(draft.classes),
            "cells": [
                {
                    "source": cell.source,
                    "class": cell.class_name,
                    "value": cell.value,
                    "reason": cell.reason.value,
                    "text": cell.text,
                }
                for cell in draft.cells
            ],
        }


def _render(output: PresenceOutput) -> RenderableType:
    draft = output.result.draft
    table = console.table("source", "annotated (1)", "possible (0)", "impossible (-1)")
    counts = Counter((cell.source, cell.value) for cell in draft.cells)
    for source in draft.sources:
        table.add_row(source, *(str(counts[source, value]) for value in (1, 0, -1)))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def presence(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET.yaml", help="Dataset yaml.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The table; presence.csv beside the yaml by default.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ] = None,
    reasons: Annotated[
        Path | None,
        typer.Option(
            "--reasons",
            metavar="FILE",
            help="Also write a CSV with the reason of each cell.",
            rich_help_panel=options.OUTPUT_PANEL,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a table that is there already.", rich_help_panel=options.OUTPUT_PANEL
        ),
    ] = False,
    data_root: options.DataRoot = None,
    as_json: options.Json = False,
) -> None:
    """Draft the presence table of a dataset: what is annotated, possible, impossible, and why.

    Where nothing is known it says possible, which teaches nothing wrong. Look it over, and edit it.
    """
    from medrov_cli.core.curation.presence_writing import draft_for_dataset

    result = draft_for_dataset(dataset, output, reasons, data_root, overwrite=overwrite)
    console.success(PresenceOutput(result), _render, as_json=as_json)
    console.note(f"written: {result.path}")
    if not result.in_yaml:
        console.note(f"to use it, write 'presence:' with its path into {dataset}")
