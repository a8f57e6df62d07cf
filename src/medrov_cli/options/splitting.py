"""Options of ``data split``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medrov_cli import options
from medrov_cli.options import near_copies

SPLITS_PANEL = "Splits"
"""Heading under which ``--help`` groups options."""

Source = Annotated[
    Path, typer.Argument(metavar="SOURCE_DIR", help="Folder with annotations.json and images/.")
]

Val = Annotated[
    float | None,
    typer.Option(
        "--val", min=0, max=1, help="Share of images for val. Default: 0.1.", rich_help_panel=SPLITS_PANEL
    ),
]

Test = Annotated[
    float | None,
    typer.Option(
        "--test", min=0, max=1, help="Share of images for test. Default: 0.2.", rich_help_panel=SPLITS_PANEL
    ),
]

Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, help="Another one deals otherwise. Default: 0.", rich_help_panel=SPLITS_PANEL
    ),
]

KeepTest = Annotated[
    bool,
    typer.Option(
        "--keep-test",
        help="Leave the test split as it is, and deal the others; --test is not used.",
        rich_help_panel=SPLITS_PANEL,
    ),
]

Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Deal nothing: keep the splits, and only bring together what is in several, in test if a part "
        "of it is there, else in val.",
        rich_help_panel=SPLITS_PANEL,
    ),
]

JoinCopies = Annotated[
    bool,
    typer.Option(
        "--join-copies/--no-join-copies",
        help="Keep near-copies together, as 'medrov data check' finds them; this reads all images.",
        rich_help_panel=near_copies.COPIES_PANEL,
    ),
]

NewFile = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="annotations.json to write, in place of the source's own.",
        rich_help_panel=options.OUTPUT_PANEL,
    ),
]
