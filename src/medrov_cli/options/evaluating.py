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

Fit = Annotated[
    Path | None,
    typer.Option(
        "--fit",
        metavar="FILE",
        help="Write the weights with score calibration and a threshold a class, from these images.",
        rich_help_panel=options.MODEL_PANEL,
    ),
]

Calibration = Annotated[
    Literal["isotonic", "platt"],
    typer.Option("--calibration", help="Method of --fit.", rich_help_panel=options.MODEL_PANEL),
]

AbsentLimit = Annotated[
    float | None,
    typer.Option(
        "--absent-limit",
        metavar="RATE",
        min=0,
        help="Thresholds of --fit rise, where it costs least F1, until patients held out have at most "
        "so many false positives of absent classes an image.",
        rich_help_panel=options.MODEL_PANEL,
    ),
]
