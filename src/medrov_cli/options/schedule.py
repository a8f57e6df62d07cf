"""Options of ``medrov train``: how long and how fast it learns, by which loss, and on which engine.

The command gives the defaults, as for the shared options.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from medrov_cli.core.settings.choices import OptimizerName

SCHEDULE_PANEL = "Schedule"
LOSS_PANEL = "Loss"
ENGINE_PANEL = "Engine"

Epochs = Annotated[
    int, typer.Option("--epochs", min=1, help="Passes over the images.", rich_help_panel=SCHEDULE_PANEL)
]

Batch = Annotated[
    int,
    typer.Option("--batch", min=1, help="Images a step, over all processes.", rich_help_panel=SCHEDULE_PANEL),
]

Accumulate = Annotated[
    int,
    typer.Option(
        "--accumulate",
        min=1,
        help="Take a step's images in so many parts: less memory.",
        rich_help_panel=SCHEDULE_PANEL,
    ),
]

Optimizer = Annotated[
    OptimizerName,
    typer.Option(
        "--optimizer",
        help="AdamW, or Muon: orthogonalised steps for hidden convolutions, AdamW for the rest.",
        rich_help_panel=SCHEDULE_PANEL,
    ),
]

LearningRate = Annotated[
    float,
    typer.Option("--lr", min=0, help="Peak learning rate.", rich_help_panel=SCHEDULE_PANEL),
]

WeightDecay = Annotated[
    float,
    typer.Option("--weight-decay", min=0, help="Weight decay of matrices.", rich_help_panel=SCHEDULE_PANEL),
]

ClipGradients = Annotated[
    float,
    typer.Option(
        "--clip-grad",
        min=0,
        help="Scale larger gradients down to this norm; 0: never.",
        rich_help_panel=SCHEDULE_PANEL,
    ),
]

AverageDecay = Annotated[
    float,
    typer.Option(
        "--average-decay",
        min=0,
        max=0.99999,
        help="Decay a step of the weights' moving average, which is kept; 0: the weights as they are.",
        rich_help_panel=SCHEDULE_PANEL,
    ),
]

BoxGain = Annotated[
    float,
    typer.Option(
        "--box-gain", min=0, help="Weight of the boxes' overlap in the loss.", rich_help_panel=LOSS_PANEL
    ),
]

TextGain = Annotated[
    float,
    typer.Option(
        "--text-gain", min=0, help="Weight of the likeness to texts in the loss.", rich_help_panel=LOSS_PANEL
    ),
]

DistributionGain = Annotated[
    float,
    typer.Option(
        "--distribution-gain",
        min=0,
        help="Weight of the distributions of the boxes' edges in the loss.",
        rich_help_panel=LOSS_PANEL,
    ),
]

Seed = Annotated[
    int,
    typer.Option("--seed", min=0, help="Everything random follows from it.", rich_help_panel=SCHEDULE_PANEL),
]

Precision = Annotated[
    Literal["auto", "bf16", "fp16", "fp32"],
    typer.Option(
        "--precision",
        help="Number format of the network; auto: bf16 where the device computes in it, else fp32.",
        rich_help_panel=ENGINE_PANEL,
    ),
]

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option(
        "--device", help="Where to train; several GPUs: see torchrun.", rich_help_panel=ENGINE_PANEL
    ),
]

Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compile the network first.", rich_help_panel=ENGINE_PANEL),
]

Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="Only operations that give the same in each run.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
