"""``medrov learn``: classes from examples.

On stdout: a table of the classes; with ``--json`` the document of schema ``medrov.learn/1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType

from medrov_cli import console
from medrov_cli.core.settings.learn import LearnSettings

if TYPE_CHECKING:
    from medrov_cli.core.learning.run import LearnResult

HEADINGS = ("class", "images", "boxes", "vectors", "AP50\nheld out", "AP50\nby text", "threshold", "F1")
"""Columns of the table: with names of two words they fit on 80 columns."""


def _render(result: LearnResult) -> RenderableType:
    info = result.file.info
    table = console.table(*HEADINGS)
    for column in table.columns[1:]:
        column.justify = "right"
    for own in info.classes:
        held_out = own.validation
        table.add_row(
            own.name,
            str(own.images),
            str(own.boxes),
            str(own.vectors),
            "-" if held_out is None else f"{held_out.ap50:.3f}",
            "-" if held_out is None else f"{held_out.text_ap50:.3f}",
            f"{own.calibration.threshold:.3f}",
            "-" if held_out is None else f"{held_out.f1:.3f}",
        )
    network = info.network
    line = f"network {network.name} ({network.imgsz} px), licence: {info.licence}, {result.size_bytes} bytes"
    mapped = sum(own.calibration.box_map is not None for own in info.classes)
    line += f"\nbox maps: {mapped} of {len(info.classes)} classes"
    if info.adapter is None:
        return Group(table, "", line)
    adapter = info.adapter
    figures = "not validated"
    if adapter.ap50 is not None and adapter.plain_ap50 is not None:
        figures = f"mean AP50 held out {adapter.ap50:.3f}, without it {adapter.plain_ap50:.3f}"
    return Group(table, "", line, f"adapter of rank {adapter.rank}, {adapter.steps} steps: {figures}")


def learn(settings: LearnSettings) -> None:
    """Learn classes from examples, without a change of the network.

    Each class becomes vectors in a small file, which --learned of detect, eval, pseudolabel, export and
    benchmark takes.
    """
    from medrov_cli.core.learning.run import run_learning

    with console.progress("learn") as advance:
        result = run_learning(settings, advance)
    for warning in result.warnings:
        console.warn(warning)
    for own in result.file.info.classes:
        for warning in own.warnings:
            console.warn(f"{own.name}: {warning}")
    for path, error in result.failures:
        console.warn(f"{path}: {error.message}")
    console.success(result, _render, as_json=settings.as_json)
    if settings.output is not None:
        console.note(f"written: {settings.output}")
    if result.exit_code:
        raise typer.Exit(result.exit_code)
