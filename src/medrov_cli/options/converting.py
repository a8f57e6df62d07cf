"""Options of ``medrov data convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medrov_cli import options
from medrov_cli.core.settings.choices import Modality

SOURCE_PANEL = "What the source says of itself"

Format = Literal[
    "masks", "voc", "yolo", "coco", "label-studio", "cvat", "nifti", "dicom-seg", "rtstruct", "dicom-csv"
]
"""The names of ``core/datasets/readers/registry.py``."""

Input = Annotated[
    Path, typer.Argument(metavar="INPUT", help="The folder or file with masks or boxes; see docs/data.md.")
]

From = Annotated[Format, typer.Option("--from", help="What INPUT is.", rich_help_panel=options.INPUT_PANEL)]

Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Folder of the images, where it is not inside INPUT or beside it.",
        rich_help_panel=options.INPUT_PANEL,
    ),
]

Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="MAP",
        help='Classes of mask values: "1=liver,2=kidney"; 255= leaves one out. One name: a binary mask.',
        rich_help_panel=options.INPUT_PANEL,
    ),
]

Components = Annotated[
    bool,
    typer.Option(
        "--components/--no-components",
        help="A box for each connected part of a mask, or one for each class.",
        rich_help_panel=options.INPUT_PANEL,
    ),
]

MinArea = Annotated[
    int,
    typer.Option(
        "--min-area",
        min=1,
        metavar="PIXELS",
        help="Leave out objects of fewer mask pixels.",
        rich_help_panel=options.INPUT_PANEL,
    ),
]

Every = Annotated[
    int,
    typer.Option(
        "--every",
        min=1,
        metavar="N",
        help="Take every N-th slice of a volume or series, from the first.",
        rich_help_panel=options.INPUT_PANEL,
    ),
]

Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        help="Table of boxes for DICOM images, with the columns of RSNA's pneumonia challenge or VinDr-CXR.",
        rich_help_panel=options.INPUT_PANEL,
    ),
]

Readers = Annotated[
    Literal["keep", "merge"],
    typer.Option(
        "--readers",
        help="Boxes of one object by several readers (column rad_id): keep each, or merge into the mean.",
        rich_help_panel=options.INPUT_PANEL,
    ),
]

SkipEmpty = Annotated[
    bool,
    typer.Option(
        "--skip-empty", help="Leave out images without objects.", rich_help_panel=options.INPUT_PANEL
    ),
]

DropRepeats = Annotated[
    bool,
    typer.Option(
        "--drop-repeats",
        help="Of equal boxes of a class on an image keep one.",
        rich_help_panel=options.INPUT_PANEL,
    ),
]

Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=1, help="Inputs that are read at once.", rich_help_panel=options.INPUT_PANEL
    ),
]

ModalityName = Annotated[
    str,
    typer.Option("--modality", metavar="NAME", help=f"{', '.join(Modality)}.", rich_help_panel=SOURCE_PANEL),
]

Licence = Annotated[
    str,
    typer.Option(
        "--licence", metavar="TEXT", help='Of the data, such as "CC BY 4.0".', rich_help_panel=SOURCE_PANEL
    ),
]

SourceText = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="TEXT",
        help="Where the data comes from: a name, an address.",
        rich_help_panel=SOURCE_PANEL,
    ),
]

Split = Annotated[
    Literal["train", "val", "test"],
    typer.Option("--split", help="Of images of which INPUT does not say it.", rich_help_panel=SOURCE_PANEL),
]

Case = Annotated[
    str | None,
    typer.Option(
        "--case",
        metavar="REGEX",
        help="Finds the patient in an image's path: its first group, or all of it. Kept as a hash.",
        rich_help_panel=SOURCE_PANEL,
    ),
]

NewFolder = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="New folder for images/ and annotations.json.",
        rich_help_panel=options.OUTPUT_PANEL,
    ),
]
