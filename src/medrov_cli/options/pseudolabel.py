"""Options of ``pseudolabel`` and ``pseudolabel apply``, each named once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.options import DATA_PANEL, MODEL_PANEL, OUTPUT_PANEL

RULES_PANEL = "Rules"

Dataset = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset yaml: its sources, each a COCO folder.")
]

Presence = Annotated[
    str | None,
    typer.Option(
        "--presence",
        metavar="FILE",
        help="Presence table, or omnis, in place of the yaml's own: a 0 is what is looked for.",
        rich_help_panel=DATA_PANEL,
    ),
]

Splits = Annotated[
    str,
    typer.Option(
        "--splits",
        metavar="LIST",
        help="Which images: train, val, test; several with commas.",
        rich_help_panel=DATA_PANEL,
    ),
]

Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Take every N-th image, from the I-th. The last of N jobs with one --output writes the dataset.",
        rich_help_panel=DATA_PANEL,
    ),
]

Score = Annotated[
    float,
    typer.Option("--score", min=0, max=1, help="Lowest score of a label.", rich_help_panel=RULES_PANEL),
]

Calibrated = Annotated[
    bool,
    typer.Option(
        "--calibrated",
        help="--score is a calibrated one: each class gets a raw threshold of its own.",
        rich_help_panel=RULES_PANEL,
    ),
]

NmsIou = Annotated[
    float,
    typer.Option(
        "--nms-iou",
        min=0,
        max=1,
        help="Overlap from which the weaker of two boxes is dropped, whatever their classes.",
        rich_help_panel=RULES_PANEL,
    ),
]

TruthIou = Annotated[
    float,
    typer.Option(
        "--truth-iou",
        min=0,
        max=1,
        help="Overlap with an annotated box from which a box is dropped.",
        rich_help_panel=RULES_PANEL,
    ),
]

Flip = Annotated[
    bool,
    typer.Option(
        "--flip",
        help="Look at the mirror image, too; left and right are exchanged.",
        rich_help_panel=RULES_PANEL,
    ),
]

Scales = Annotated[
    str,
    typer.Option(
        "--scales",
        metavar="LIST",
        help="Look at these shares of the usual size: 0.8,1.0,1.25.",
        rich_help_panel=RULES_PANEL,
    ),
]

Agree = Annotated[
    int | None,
    typer.Option(
        "--agree",
        min=1,
        metavar="VIEWS",
        help="So many views (weights, scales, flips) must find a box. Default: all.",
        rich_help_panel=RULES_PANEL,
    ),
]

Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weights",
        "-w",
        metavar="NAME|FILE",
        help=f"A name of 'medrov weights list', or a .safetensors file; may be repeated. Default: "
        f"{DEFAULT_WEIGHTS}.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder of the new dataset; the images stay where they are.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Count by source and class, and write nothing.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Review = Annotated[
    Path | None,
    typer.Option(
        "--review",
        metavar="FILE",
        help="Write an HTML page to accept, reject or relabel each label.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Threads = Annotated[
    int,
    typer.Option("--threads", min=1, help="Files that are read at once.", rich_help_panel=DATA_PANEL),
]

Batch = Annotated[
    int,
    typer.Option("--batch", min=1, help="Images a forward pass.", rich_help_panel=MODEL_PANEL),
]

Decisions = Annotated[Path, typer.Argument(metavar="FILE", help="What the review page has saved.")]

Labels = Annotated[
    Path,
    typer.Option(
        "--labels",
        metavar="DIR",
        help="The folder that was reviewed.",
        rich_help_panel=DATA_PANEL,
    ),
]

ReviewedOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder of the new dataset.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
