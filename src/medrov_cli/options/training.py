"""Options of ``medrov train``: what it learns from, and what it starts with.

The command gives the defaults, as for the shared options.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import Appearance, Balance, TextStart
from medrov_cli.options import DATA_PANEL, MODEL_PANEL, OUTPUT_PANEL

Choice = TypeVar("Choice", bound=StrEnum)


def choices(values: Sequence[str], kind: type[Choice], option: str) -> tuple[Choice, ...]:
    """Return what a list of names with commas chooses; ``none`` chooses nothing.

    Raises
    ------
    MedrovError
        ``USAGE`` for a name that there is not.
    """
    names = [name.strip().lower() for value in values for name in value.split(",")]
    unknown = [name for name in names if name not in (*kind, "none")]
    if unknown:
        raise MedrovError(
            ErrorCode.USAGE,
            f"{option}: unknown name {unknown[0]!r}",
            f"Use none, or some of {', '.join(kind)}, with commas.",
        )
    return tuple(member for member in kind if member in names)


Dataset = Annotated[Path, typer.Argument(help="Dataset yaml: its sources, each a COCO folder.")]

Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", help="Folder of the run.", rich_help_panel=OUTPUT_PANEL),
]

LogTo = Annotated[
    list[str],
    typer.Option(
        "--log-to",
        metavar="LIST",
        help="Report also to tensorboard, mlflow, wandb; several with commas.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

SaveSteps = Annotated[
    int,
    typer.Option(
        "--save-steps",
        min=0,
        help="Save the state for --resume after so many steps, too.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Scale = Annotated[
    Literal["n", "s", "m", "l", "x"],
    typer.Option("--model", "-m", help="Size of the network.", rich_help_panel=MODEL_PANEL),
]

Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        "-w",
        metavar="NAME|FILE",
        help="Start from these weights, not from scratch.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Freeze = Annotated[
    list[str],
    typer.Option(
        "--freeze",
        metavar="LIST",
        help="Keep parts as they are: backbone, neck, head, text; several with commas.",
        rich_help_panel=MODEL_PANEL,
    ),
]

TextEncoder = Annotated[
    str,
    typer.Option(
        "--text-encoder",
        metavar="SPEC",
        help="minilm, hf-hub:ORG/NAME or local-dir:PATH.",
        rich_help_panel=MODEL_PANEL,
    ),
]

TextAdapter = Annotated[
    bool,
    typer.Option(help="Train a linear map on the class embeddings.", rich_help_panel=MODEL_PANEL),
]

TextStartChoice = Annotated[
    TextStart,
    typer.Option(
        "--text-start",
        help="What that map is at first: it takes off what all class names share, or what the texts of the "
        "whole lexicon share in each direction.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Name = Annotated[
    str, typer.Option("--name", help="Name that the weights carry.", rich_help_panel=MODEL_PANEL)
]

Imgsz = Annotated[
    int,
    typer.Option(
        "--imgsz",
        min=32,
        max=2048,
        help="Side of the model input, a multiple of 32.",
        rich_help_panel=DATA_PANEL,
    ),
]

MultiScale = Annotated[
    float,
    typer.Option(
        "--multi-scale",
        min=0,
        max=0.9,
        help="Vary the side of each batch by this share of it.",
        rich_help_panel=DATA_PANEL,
    ),
]

BalanceBy = Annotated[
    Balance,
    typer.Option(
        "--balance",
        help="Draw images of rare groups more often.",
        rich_help_panel=DATA_PANEL,
    ),
]

BalancePower = Annotated[
    float,
    typer.Option(
        "--balance-power",
        min=0,
        max=1,
        help="0 draws images equally often, 1 groups.",
        rich_help_panel=DATA_PANEL,
    ),
]

BalanceThreshold = Annotated[
    float,
    typer.Option(
        "--balance-threshold",
        min=0,
        max=1,
        help="Share of all images from which a group is not rare.",
        rich_help_panel=DATA_PANEL,
    ),
]

Mosaic = Annotated[
    float,
    typer.Option("--mosaic", min=0, max=1, help="Share of mosaics of four.", rich_help_panel=DATA_PANEL),
]

AppearanceChoice = Annotated[
    Appearance,
    typer.Option(
        "--appearance",
        help="How pixels change: plain (grey levels, colours, blur, noise), or as other scanners, stains and "
        "cameras would show it, too.",
        rich_help_panel=DATA_PANEL,
    ),
]

CloseMosaic = Annotated[
    int,
    typer.Option("--close-mosaic", min=0, help="Last epochs without mosaics.", rich_help_panel=DATA_PANEL),
]

MaxPrompts = Annotated[
    int,
    typer.Option("--prompts", min=1, help="Prompts an image, at most.", rich_help_panel=DATA_PANEL),
]

Negatives = Annotated[
    list[str],
    typer.Option(
        "--negatives",
        metavar="LIST",
        help="What else an image is asked for: random, federated, background, hard; several with commas.",
        rich_help_panel=DATA_PANEL,
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="Processes that make batches. Default: up to 8 for a GPU; up to 2 on a CPU with cores to spare.",
        rich_help_panel=DATA_PANEL,
    ),
]
