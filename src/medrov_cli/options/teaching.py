"""Options of ``medrov train``: what it learns from a teacher beside the annotations.

The command gives the defaults, as for the shared options.
"""

from __future__ import annotations

from typing import Annotated

import typer

from medrov_cli.core.settings.choices import Teacher

PSEUDO_PANEL = "Pseudo-labels"
DISTILLATION_PANEL = "Distillation"

PseudoLabels = Annotated[
    bool,
    typer.Option(
        help="Train also on confident boxes of classes that a source may show without annotating them.",
        rich_help_panel=PSEUDO_PANEL,
    ),
]

UnknownObjects = Annotated[
    bool,
    typer.Option(
        help="And on boxes of no class, by the embedding of their own image: needs a --text-encoder "
        "with an image tower.",
        rich_help_panel=PSEUDO_PANEL,
    ),
]

PseudoAfter = Annotated[
    int,
    typer.Option(
        "--pseudo-after",
        min=0,
        help="Epochs before the first such box; 0 suits pretrained weights.",
        rich_help_panel=PSEUDO_PANEL,
    ),
]

PseudoScore = Annotated[
    float,
    typer.Option(
        "--pseudo-score",
        min=0,
        help="Lowest score of such a box; above 1 there are none.",
        rich_help_panel=PSEUDO_PANEL,
    ),
]

TeacherChoice = Annotated[
    Teacher,
    typer.Option(
        "--teacher",
        help="Who proposes: the weights' moving average, or as they are.",
        rich_help_panel=PSEUDO_PANEL,
    ),
]

Distill = Annotated[
    str | None,
    typer.Option(
        "--distill",
        metavar="NAME|FILE",
        help="Learn also what these weights answer to each image, of whatever size of network.",
        rich_help_panel=DISTILLATION_PANEL,
    ),
]

DistillGain = Annotated[
    float,
    typer.Option(
        "--distill-gain",
        min=0,
        help="How much their answers count beside the annotations.",
        rich_help_panel=DISTILLATION_PANEL,
    ),
]
