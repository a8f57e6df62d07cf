"""Options of ``eval`` on what is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medrov_cli import options

Predictions = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="Score a COCO result file of any program, in place of a detector.",
        rich_help_panel=options.DATA_PANEL,
    ),
]

Split = Annotated[
    Literal["train", "val", "test"],
    typer.Option("--split", help="Which images.", rich_help_panel=options.DATA_PANEL),
]

ExportTruth = Annotated[
    Path | None,
    typer.Option(
        "--export-truth",
        metavar="FILE",
        help="Only write the split's truth as one COCO file, for other programs.",
        rich_help_panel=options.DATA_PANEL,
    ),
]
