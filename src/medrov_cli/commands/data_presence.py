"""``medrov data presence``: a generated presence table; ``medrov.data.presence/1`` with ``--json``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from medrov_cli import console
from medrov_cli.core.settings.data import PresenceSettings

if TYPE_CHECKING:
    from medrov_cli.core.curation.presence_writing import PresenceResult


@dataclass(frozen=True, slots=True)
class PresenceOutput:
    """Document of schema ``medrov.data.presence/1``."""

    result: PresenceResult

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        generated = self.result.generated
        return {
            "schema": "medrov.data.presence/1",
            "dataset": self.result.dataset,
            "path": str(self.result.path),
            "sources": list(generated.sources),
            "classes": list(generated.classes),
            "cells": [
                {
                    "source": cell.source,
                    "class": cell.class_name,
                    "value": cell.value,
                    "reason": cell.reason.value,
                    "text": cell.text,
                }
                for cell in generated.cells
            ],
        }


def _render(output: PresenceOutput) -> RenderableType:
    generated = output.result.generated
    table = console.table("source", "annotated (1)", "possible (0)", "impossible (-1)")
    counts = Counter((cell.source, cell.value) for cell in generated.cells)
    for source in generated.sources:
        table.add_row(source, *(str(counts[source, value]) for value in (1, 0, -1)))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def presence(settings: PresenceSettings) -> None:
    """Generate the presence table of a dataset: annotated, possible and impossible classes.

    Unknown cells are "possible", which causes no false negatives in training. Check and edit the table.
    """
    from medrov_cli.core.curation.presence_writing import generate_for_dataset

    result = generate_for_dataset(settings)
    console.success(PresenceOutput(result), _render, as_json=settings.as_json)
    console.note(f"written: {result.path}")
    if not result.in_yaml:
        console.note(f"to use the table, add 'presence:' with its path to {settings.dataset}")
