"""``medrov train``: a detector from many sources."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType

from medrov_cli import console, options
from medrov_cli.core.config import DEFAULT_TEXT_ENCODER

if TYPE_CHECKING:
    from medrov_cli.core.training import TrainProgress

SCHEMA = "medrov.train/1"

SCHEDULE_PANEL = "Schedule"


class Scale(StrEnum):
    """Sizes of YOLO-World v2."""

    N = "n"
    S = "s"
    M = "m"
    L = "l"
    X = "x"


class Precision(StrEnum):
    """Number formats of the forward pass."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"


class TrainingDevice(StrEnum):
    """Where to train; several GPUs or a certain one: accelerate's own launcher and settings."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


@dataclass(frozen=True, slots=True)
class TrainOutput:
    """What a run has to show.

    Attributes
    ----------
    weights
        File of the best epoch.
    best_epoch, epochs
        1-based.
    best
        The metrics of the best epoch, as in ``metrics.jsonl``.
    """

    weights: str
    best_epoch: int
    epochs: int
    best: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "schema": SCHEMA,
            "weights": self.weights,
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "best": self.best,
        }


def _render(output: TrainOutput) -> RenderableType:
    title = f"{output.weights}: epoch {output.best_epoch} of {output.epochs}, validation"
    table = console.table("source", "images", "mAP50", "mAP50-95")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, score in sorted(output.best["val"].items()):
        table.add_row(name, str(score["images"]), f"{score['map50']:.3f}", f"{score['map50_95']:.3f}")
    table.add_section()
    table.add_row("mean", "", f"{output.best['map50']:.3f}", f"{output.best['map50_95']:.3f}")
    return Group(title, table)  # a table's own title is broken at the table's width


def train(
    dataset: Annotated[Path, typer.Argument(help="Dataset yaml: its sources, each a COCO folder.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder of the run.", rich_help_panel=options.OUTPUT_PANEL
        ),
    ],
    data_root: options.DataRoot = None,
    model: Annotated[
        Scale, typer.Option("--model", "-m", help="Size of the network.", rich_help_panel=options.MODEL_PANEL)
    ] = Scale.N,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            "-w",
            metavar="NAME|FILE",
            help="Start from these weights, not from scratch.",
            rich_help_panel=options.MODEL_PANEL,
        ),
    ] = None,
    imgsz: Annotated[
        int,
        typer.Option(
            "--imgsz",
            min=32,
            max=2048,
            help="Side of the model input, a multiple of 32.",
            rich_help_panel=options.DATA_PANEL,
        ),
    ] = 640,
    multi_scale: Annotated[
        float,
        typer.Option(
            "--multi-scale",
            min=0,
            max=0.9,
            help="Vary the side of each batch by this share of it.",
            rich_help_panel=options.DATA_PANEL,
        ),
    ] = 0.0,
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, help="Passes over the images.", rich_help_panel=SCHEDULE_PANEL)
    ] = 20,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Images a step.", rich_help_panel=SCHEDULE_PANEL)
    ] = 16,
    lr: Annotated[
        float,
        typer.Option("--lr", min=0, help="Peak learning rate of AdamW.", rich_help_panel=SCHEDULE_PANEL),
    ] = 1e-3,
    weight_decay: Annotated[
        float,
        typer.Option("--weight-decay", min=0, help="Weight decay of AdamW.", rich_help_panel=SCHEDULE_PANEL),
    ] = 0.05,
    balance: Annotated[
        float,
        typer.Option(
            "--balance",
            min=0,
            max=1,
            help="0 draws images equally often, 1 sources.",
            rich_help_panel=options.DATA_PANEL,
        ),
    ] = 0.3,
    mosaic: Annotated[
        float,
        typer.Option(
            "--mosaic", min=0, max=1, help="Share of mosaics of four.", rich_help_panel=options.DATA_PANEL
        ),
    ] = 0.7,
    close_mosaic: Annotated[
        int,
        typer.Option(
            "--close-mosaic", min=0, help="Last epochs without mosaics.", rich_help_panel=options.DATA_PANEL
        ),
    ] = 2,
    max_prompts: Annotated[
        int,
        typer.Option(
            "--prompts", min=1, help="Prompts an image, at most.", rich_help_panel=options.DATA_PANEL
        ),
    ] = 80,
    text_encoder: Annotated[
        str,
        typer.Option(
            "--text-encoder",
            metavar="SPEC",
            help="minilm, hf-hub:ORG/NAME or local-dir:PATH.",
            rich_help_panel=options.MODEL_PANEL,
        ),
    ] = DEFAULT_TEXT_ENCODER,
    text_adapter: Annotated[
        bool,
        typer.Option(help="Train a linear map on the class embeddings.", rich_help_panel=options.MODEL_PANEL),
    ] = True,
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="Of the forward pass.", rich_help_panel=options.MODEL_PANEL),
    ] = Precision.BF16,
    device: Annotated[
        TrainingDevice, typer.Option("--device", help="Where to train.", rich_help_panel=options.MODEL_PANEL)
    ] = TrainingDevice.AUTO,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=0, help="Processes that make batches.", rich_help_panel=options.DATA_PANEL
        ),
    ] = 1,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, help="Everything random follows from it.", rich_help_panel=SCHEDULE_PANEL
        ),
    ] = 0,
    name: Annotated[
        str, typer.Option("--name", help="Name that the weights carry.", rich_help_panel=options.MODEL_PANEL)
    ] = "medrov",
    resume: options.Resume = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
) -> None:
    """Train a detector on many sources, and keep the weights of its best epoch.

    The folder gets config.json, metrics.jsonl, curves.png, best.safetensors, and the state for --resume.
    """
    from medrov_cli.core.config import is_offline
    from medrov_cli.core.data.augmentation import AugmentationConfig
    from medrov_cli.core.model.schedule import ScheduleConfig
    from medrov_cli.core.training import TrainConfig, run_training

    config = TrainConfig(
        dataset=dataset,
        output=output,
        data_root=data_root,
        model=model.value,
        weights=weights,
        imgsz=imgsz,
        multi_scale=multi_scale,
        epochs=epochs,
        batch=batch,
        seed=seed,
        workers=workers,
        precision=precision.value,
        device=device.value,
        balance=balance,
        max_prompts=max_prompts,
        close_mosaic=close_mosaic,
        text_encoder=text_encoder,
        text_adapter=text_adapter,
        offline=is_offline(offline),
        resume=resume,
        name=name,
        schedule=ScheduleConfig(learning_rate=lr, weight_decay=weight_decay),
        augmentation=AugmentationConfig(mosaic=mosaic),
    )
    with console.progress("images") as advance:

        def report(progress: TrainProgress) -> None:
            advance(*_describe(progress, batch))

        result = run_training(config, report)
    best = result.history[result.best_epoch - 1]
    found = TrainOutput(str(result.weights), result.best_epoch, epochs, best)
    console.success(found, _render, as_json=as_json)


def _describe(progress: TrainProgress, batch: int) -> tuple[int, int, str]:
    """Return images done, their total, and the words before the bar."""
    if progress.stage == "read":
        return progress.done, progress.total, "reading images"
    where = f"epoch {progress.epoch}/{progress.epochs}"
    if progress.stage == "val":
        return progress.done, progress.total, f"{where} validation"
    return progress.done * batch, progress.total * batch, f"{where} training"
