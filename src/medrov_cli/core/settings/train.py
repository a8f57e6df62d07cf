"""Settings of ``medrov train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER
from medrov_cli.core.base.errors import requires
from medrov_cli.core.settings.choices import Part, TextStart, Tracker
from medrov_cli.core.settings.field import group, option, option_of
from medrov_cli.core.settings.groups import (
    DATA_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    ModelSettings,
    RuntimeSettings,
)
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings
from medrov_cli.core.settings.lists import parse_names
from medrov_cli.core.settings.record import whole_record
from medrov_cli.core.settings.teacher_groups import PSEUDO_PANEL, DistillationSettings, ProposalSettings
from medrov_cli.core.settings.train_groups import (
    SCHEDULE_PANEL,
    AugmentationSettings,
    BalanceSettings,
    LossGains,
    NegativeSettings,
    ScheduleSettings,
    parse_negatives,
)
from medrov_cli.core.settings.values import check_imgsz

ENGINE_PANEL = "Engine"

_NOT_RECORDED = ("preset", "uses_pseudo_labels", "as_json")


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """All settings of a run, as they are written beside its weights; each option has its help.

    Attributes
    ----------
    accumulate
        Each process computes its share of a step in so many parts, one after the other: less memory, but
        a batch norm sees a part alone.
    text_adapter
        The linear map separates class embeddings that the encoder places close together (left and right
        lung).
    text_start
        Used unless weights to start from bring their own map.
    uses_pseudo_labels, pseudo_rules
        Whether a teacher's proposals become targets, and how.
    distiller
        Another network whose outputs are learned, if there is one.
    deterministic
        The CPU needs no such thing.
    workers
        For each training process; null: see :func:`~medrov_cli.core.base.environment.workers_for`.
    save_steps
        The state is also saved after each epoch; 0: then alone.
    """

    dataset: Path = option_of(DatasetSettings, "dataset")
    output: Path = option("--output", "-o", metavar="DIR", help="Folder of the run.", panel=OUTPUT_PANEL)
    preset: str | None = option(
        "--preset",
        default=None,
        metavar="NAME|FILE",
        help="Other defaults for all options: paper, finetune, or a TOML file of your own.",
        panel=MODEL_PANEL,
    )
    data_root: Path | None = option_of(DatasetSettings, "data_root")
    model: str = option(
        "--model",
        "-m",
        default="n",
        choices=("n", "s", "m", "l", "x"),
        help="Size of the network.",
        panel=MODEL_PANEL,
    )
    weights: str | None = option_of(
        ModelSettings, "weights", default=None, help="Start from these weights, not from scratch."
    )
    freeze: tuple[Part, ...] = option(
        "--freeze",
        given=list[str],
        given_default=["none"],
        parse=lambda texts: parse_names(texts, Part, "--freeze"),
        metavar="LIST",
        help="Keep parts as they are: backbone, neck, head, text; several with commas.",
        panel=MODEL_PANEL,
    )
    imgsz: int = option(
        "--imgsz",
        default=640,
        low=32,
        high=2048,
        help="Side of the model input, a multiple of 32.",
        panel=DATA_PANEL,
    )
    multi_scale: float = option(
        "--multi-scale",
        default=0.0,
        low=0,
        high=0.9,
        help="Vary the side of each batch by this share of it.",
        panel=DATA_PANEL,
    )
    epochs: int = option("--epochs", default=20, low=1, help="Passes over the images.", panel=SCHEDULE_PANEL)
    batch: int = option(
        "--batch", default=16, low=1, help="Images a step, over all processes.", panel=SCHEDULE_PANEL
    )
    accumulate: int = option(
        "--accumulate",
        default=1,
        low=1,
        help="Take a step's images in so many parts: less memory.",
        panel=SCHEDULE_PANEL,
    )
    schedule: ScheduleSettings = group(ScheduleSettings())
    max_gradient_norm: float = option(
        "--clip-grad",
        default=10.0,
        low=0,
        before="--average-decay",
        help="Scale larger gradients down to this norm; 0: never.",
        panel=SCHEDULE_PANEL,
        source="ultralytics",
    )
    gains: LossGains = group(LossGains())
    balance: BalanceSettings = group(BalanceSettings())
    augmentation: AugmentationSettings = group(AugmentationSettings())
    close_mosaic: int = option(
        "--close-mosaic",
        default=2,
        low=0,
        help="Last epochs without mosaics.",
        panel=DATA_PANEL,
        source="ultralytics: 10 of 100",
    )
    max_prompts: int = option(
        "--prompts",
        default=80,
        low=1,
        help="Prompts an image, at most.",
        panel=DATA_PANEL,
        source="MedROV, arXiv 2511.20650",
    )
    negatives: NegativeSettings = option(
        "--negatives",
        given=list[str],
        given_default=["random,federated"],
        parse=parse_negatives,
        metavar="LIST",
        help="What else an image is asked for: random, federated, background, hard; several with commas.",
        panel=DATA_PANEL,
    )
    uses_pseudo_labels: bool = option(
        "--pseudo-labels/--no-pseudo-labels",
        default=False,
        help="Train also on confident boxes of classes that a source may show without annotating them.",
        panel=PSEUDO_PANEL,
    )
    pseudo_rules: ProposalSettings = group(ProposalSettings(), key="pseudo_labels", recorded="pseudo_labels")
    distiller: DistillationSettings = group(
        DistillationSettings(), key="distillation", recorded="distillation"
    )
    text_encoder: str = option_of(
        ModelSettings,
        "text_encoder",
        default=DEFAULT_TEXT_ENCODER,
        help="minilm, hf-hub:ORG/NAME or local-dir:PATH.",
    )
    text_adapter: bool = option(
        "--text-adapter/--no-text-adapter",
        default=True,
        help="Train a linear map on the class embeddings.",
        panel=MODEL_PANEL,
    )
    text_start: TextStart = option(
        "--text-start",
        default=TextStart.CENTRED,
        help="What that map is at first: it takes off what all class names share, or what the texts of the "
        "whole lexicon share in each direction.",
        panel=MODEL_PANEL,
    )
    precision: str = option(
        "--precision",
        default="auto",
        choices=("auto", "bf16", "fp16", "fp32"),
        help="Number format of the network; auto: bf16 where the device computes in it, else fp32.",
        panel=ENGINE_PANEL,
    )
    device: str = option(
        "--device",
        default="auto",
        choices=("auto", "cpu", "cuda", "mps"),
        help="Where to train; several GPUs: see torchrun.",
        panel=ENGINE_PANEL,
    )
    compiled: bool = option("--compile", default=False, help="Compile the network first.", panel=ENGINE_PANEL)
    deterministic: bool = option(
        "--deterministic",
        default=False,
        help="Only operations that give the same in each run.",
        panel=ENGINE_PANEL,
    )
    workers: int | None = option(
        "--workers",
        default=None,
        low=0,
        help="Processes that make batches. Default: up to 8 for a GPU; up to 2 on a CPU with cores to spare.",
        panel=DATA_PANEL,
    )
    seed: int = option(
        "--seed", default=0, low=0, help="Everything random follows from it.", panel=SCHEDULE_PANEL
    )
    name: str = option("--name", default="medrov", help="Name that the weights carry.", panel=MODEL_PANEL)
    trackers: tuple[Tracker, ...] = option(
        "--log-to",
        given=list[str],
        given_default=["none"],
        parse=lambda texts: parse_names(texts, Tracker, "--log-to"),
        metavar="LIST",
        help="Report also to tensorboard, mlflow, wandb; several with commas.",
        panel=OUTPUT_PANEL,
    )
    save_steps: int = option(
        "--save-steps",
        default=500,
        low=0,
        help="Save the state for --resume after so many steps, too.",
        panel=OUTPUT_PANEL,
    )
    resume: bool = option_of(OutputSettings, "resume")
    offline: bool = option_of(RuntimeSettings, "offline")
    as_json: bool = option_of(OutputSettings, "as_json")

    @property
    def pseudo_labels(self) -> ProposalSettings | None:
        """Return how a teacher's proposals become targets; null: they do not."""
        return self.pseudo_rules if self.uses_pseudo_labels else None

    @property
    def distillation(self) -> DistillationSettings | None:
        """Return the network whose outputs are learned, and their weight; null: there is none."""
        return None if self.distiller.weights is None else self.distiller

    def check(self) -> None:
        """Refuse a size that the network cannot take, and unknown objects without pseudo-labels.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_imgsz(self.imgsz)
        if self.pseudo_rules.unknown_objects and not self.uses_pseudo_labels:
            raise requires("--unknown-objects", "--pseudo-labels", "Give both, or neither.")


def config_record(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings as ``config.json`` has them."""
    return whole_record(settings, leave_out=_NOT_RECORDED)
