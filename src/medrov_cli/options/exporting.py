"""Options of ``medrov data export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from medrov_cli import options

FORM_PANEL = "What to write"


class SplitName(StrEnum):
    """A split, or the lack of one."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    NONE = "none"


Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="A dataset yaml, or one source folder.")]

To = Annotated[
    Literal["coco", "yolo", "voc", "label-studio", "cvat"],
    typer.Option("--to", help="Format of the other tool.", rich_help_panel=FORM_PANEL),
]

ImageUrl = Annotated[
    str | None,
    typer.Option(
        "--image-url",
        metavar="PREFIX",
        help="What stands before images/NAME in Label Studio's tasks. Default: its local files.",
        rich_help_panel=FORM_PANEL,
    ),
]

Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="NAME",
        help="Only this source of the yaml; may be repeated.",
        rich_help_panel=options.DATA_PANEL,
    ),
]

Splits = Annotated[
    list[SplitName] | None,
    typer.Option(
        "--split", help="Only images of this split; may be repeated.", rich_help_panel=options.DATA_PANEL
    ),
]

Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="New or empty folder to write to.",
        rich_help_panel=options.OUTPUT_PANEL,
    ),
]

LinkImages = Annotated[
    bool,
    typer.Option(
        "--link-images/--copy-images",
        help="Hard links in place of copies, where the disk can.",
        rich_help_panel=options.OUTPUT_PANEL,
    ),
]
