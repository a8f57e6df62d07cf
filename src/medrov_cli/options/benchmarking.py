"""Options of ``benchmark``, each named once."""

from __future__ import annotations

from typing import Annotated

import typer

from medrov_cli.options import MODEL_PANEL

FIGURES_PANEL = "What to measure"
LENGTH_PANEL = "How long"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="Images, folders, patterns, - for a list of paths on stdin. Default: synthetic phantoms.",
    ),
]

Fps = Annotated[
    bool,
    typer.Option(
        "--fps",
        help="Images per second, forward alone and end to end; latency and time of each stage. "
        "The default, if nothing else is asked for.",
        rich_help_panel=FIGURES_PANEL,
    ),
]

Compare = Annotated[
    str | None,
    typer.Option(
        "--compare",
        metavar="LIST",
        help="As --fps, of several engines or exported models, in turn: openvino,openvino-bf16,m.onnx.",
        rich_help_panel=FIGURES_PANEL,
    ),
]

Memory = Annotated[
    int | None,
    typer.Option(
        "--memory",
        metavar="N",
        help="How much memory grows in one run over N images, after the first 500.",
        rich_help_panel=FIGURES_PANEL,
    ),
]

Images = Annotated[
    int,
    typer.Option(
        "--images",
        min=1,
        metavar="N",
        help="Images of a round; files are taken again where there are fewer.",
        rich_help_panel=LENGTH_PANEL,
    ),
]

Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds",
        min=1,
        metavar="N",
        help="Rounds, in which all take turns; their median counts. Default: 5.",
        rich_help_panel=LENGTH_PANEL,
    ),
]

Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        metavar="S",
        help="In place of --rounds: whole rounds until so much time is over.",
        rich_help_panel=LENGTH_PANEL,
    ),
]

ClassCount = Annotated[
    int | None,
    typer.Option(
        "--classes",
        min=1,
        metavar="N",
        help="So many made-up classes, always the same. Default: the vocabulary of the weights.",
        rich_help_panel=MODEL_PANEL,
    ),
]
