"""Settings of ``medrov train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER
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
from medrov_cli.core.settings.train_effects import require_effects
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

_NOT_RECORDED = ("preset", "uses_pseudo_labels", "as_json", "max_memory")


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of a training run, as written to its folder; each option has its help.

    Attributes
    ----------
    accumulate
        Number of consecutive parts in which each process computes its samples of a step. This reduces memory,
        but the statistics of batch norms are those of a part.
    text_adapter
        Whether a linear map is trained, which separates similar class embeddings (left and right lung).
    text_start
        Initial text adapter, unless the initial weights contain one.
    uses_pseudo_labels, pseudo_rules
        Whether proposals of a teacher become targets, and their rules.
    distiller
        Settings of the teacher of the distillation.
    deterministic
        Deterministic operations; not needed on a CPU.
    workers
        Data workers of each training process; null: see
        :func:`~medrov_cli.core.base.environment.workers_for`.
    save_steps
        Steps between saves of the state, which is also saved after each epoch; 0: after each epoch only.
    """

    dataset: Path = option_of(DatasetSettings, "dataset")
    output: Path = option("--output", "-o", metavar="DIR", help="Folder of the run.", panel=OUTPUT_PANEL)
    preset: str | None = option(
        "--preset",
        default=None,
        metavar="NAME|FILE",
        help="Defaults of all options: paper, finetune, or a TOML file.",
        panel=MODEL_PANEL,
    )
    data_root: Path | None = option_of(DatasetSettings, "data_root")
    model: str = option(
        "--model",
        "-m",
        default="n",
        choices=("n", "s", "m", "l", "x"),
        help="Scale of the network.",
        panel=MODEL_PANEL,
    )
    weights: str | None = option_of(
        ModelSettings, "weights", default=None, help="Initial weights. Default: random."
    )
    freeze: tuple[Part, ...] = option(
        "--freeze",
        given=list[str],
        given_default=["none"],
        parse=lambda texts: parse_names(texts, Part, "--freeze"),
        metavar="LIST",
        help="Parts that are not trained, comma separated: backbone, neck, head, text.",
        panel=MODEL_PANEL,
    )
    imgsz: int = option(
        "--imgsz",
        default=640,
        low=32,
        high=2048,
        help="Side of the square model input in pixels, a multiple of 32.",
        panel=DATA_PANEL,
    )
    multi_scale: float = option(
        "--multi-scale",
        default=0.0,
        low=0,
        high=0.9,
        help="Maximum relative change of --imgsz per batch, 0 to 0.9.",
        panel=DATA_PANEL,
    )
    rectangles: float = option(
        "--rectangles",
        default=0.0,
        low=0,
        high=1,
        help="Fraction of the steps whose input has the shape of the images instead of a square.",
        panel=DATA_PANEL,
    )
    epochs: int = option("--epochs", default=20, low=1, help="Number of epochs.", panel=SCHEDULE_PANEL)
    batch: int = option(
        "--batch", default=16, low=1, help="Images per step over all processes.", panel=SCHEDULE_PANEL
    )
    accumulate: int = option(
        "--accumulate",
        default=1,
        low=1,
        help="Number of parts in which each step is computed, to save memory.",
        panel=SCHEDULE_PANEL,
    )
    schedule: ScheduleSettings = group(ScheduleSettings())
    max_gradient_norm: float = option(
        "--clip-grad",
        default=10.0,
        low=0,
        before="--average-decay",
        help="Maximum norm of the gradients; 0: no limit.",
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
        help="Number of final epochs without mosaics.",
        panel=DATA_PANEL,
        source="ultralytics: 10 of 100",
    )
    max_prompts: int = option(
        "--prompts",
        default=80,
        low=1,
        help="Maximum number of prompts per image.",
        panel=DATA_PANEL,
        source="MedROV, arXiv 2511.20650",
    )
    negatives: NegativeSettings = option(
        "--negatives",
        given=list[str],
        given_default=["random,federated"],
        parse=parse_negatives,
        metavar="LIST",
        help="Kinds of negative prompts, comma separated: random, federated, background, hard.",
        panel=DATA_PANEL,
    )
    uses_pseudo_labels: bool = option(
        "--pseudo-labels/--no-pseudo-labels",
        default=False,
        help="Add teacher boxes of classes that a source may show without annotation as targets.",
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
        help="Text encoder: minilm, hf-hub:ORG/NAME or local-dir:PATH.",
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
        help="Initial text adapter: common component of the classes, or of the lexicon, removed.",
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
        help="Device. Several GPUs: start with torchrun.",
        panel=ENGINE_PANEL,
    )
    compiled: bool = option(
        "--compile", default=False, help="Compile the network with torch.compile.", panel=ENGINE_PANEL
    )
    deterministic: bool = option(
        "--deterministic",
        default=False,
        help="Use deterministic operations only.",
        panel=ENGINE_PANEL,
    )
    workers: int | None = option(
        "--workers",
        default=None,
        low=0,
        help="Data loader processes. Default: up to 8 for a GPU, up to 2 for a CPU.",
        panel=DATA_PANEL,
    )
    seed: int = option("--seed", default=0, low=0, help="Random seed.", panel=SCHEDULE_PANEL)
    name: str = option("--name", default="medrov", help="Name stored in the weights.", panel=MODEL_PANEL)
    trackers: tuple[Tracker, ...] = option(
        "--log-to",
        given=list[str],
        given_default=["none"],
        parse=lambda texts: parse_names(texts, Tracker, "--log-to"),
        metavar="LIST",
        help="Trackers, comma separated: tensorboard, mlflow, wandb.",
        panel=OUTPUT_PANEL,
    )
    save_steps: int = option(
        "--save-steps",
        default=500,
        low=0,
        help="Steps between saves of the state for --resume; 0: after each epoch only.",
        panel=OUTPUT_PANEL,
    )
    resume: bool = option_of(OutputSettings, "resume")
    offline: bool = option_of(RuntimeSettings, "offline")
    max_memory: int | None = option_of(RuntimeSettings, "max_memory", panel=DATA_PANEL)
    as_json: bool = option_of(OutputSettings, "as_json")

    @property
    def pseudo_labels(self) -> ProposalSettings | None:
        """Return the rules of the pseudo-labels; null without pseudo-labels."""
        return self.pseudo_rules if self.uses_pseudo_labels else None

    @property
    def distillation(self) -> DistillationSettings | None:
        """Return the settings of the distillation; null without distillation."""
        return None if self.distiller.weights is None else self.distiller

    def check(self) -> None:
        """Refuse an invalid size of the model input, and options that another one leaves without effect.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_imgsz(self.imgsz)
        require_effects(self)


def config_record(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings in the form of ``config.json``."""
    return whole_record(settings, leave_out=_NOT_RECORDED)
