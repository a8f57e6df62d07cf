"""``medrov train``: a detector from many sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType

from medrov_cli import console, options
from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.choices import (
    Appearance,
    Balance,
    Negative,
    OptimizerName,
    Part,
    Teacher,
    TextStart,
    Tracker,
)
from medrov_cli.options import schedule, teaching, training

if TYPE_CHECKING:
    from medrov_cli.core.settings.train import TrainProgress

SCHEMA = "medrov.train/1"


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
    parts = [("mean", output.best)]
    if output.best["novel"]:
        parts += [(f"mean of {part} classes", output.best[part]) for part in ("base", "novel")]
    for name, score in parts:
        table.add_row(name, "", f"{score['map50']:.3f}", f"{score['map50_95']:.3f}")
    return Group(title, table)  # a table's own title is broken at the table's width


def _use_preset(context: typer.Context, name: str | None) -> str | None:
    """Make a preset's values the defaults of this command."""
    if name is not None:
        from medrov_cli.core.settings.presets import read_preset

        parameters = {p.opts[0].removeprefix("--"): p for p in context.command.params if p.opts}
        preset = read_preset(name, parameters.keys() - {"preset", "json", "dataset"})
        context.default_map = {
            str(parameters[key].name): [value]
            if parameters[key].multiple and isinstance(value, str)
            else value
            for key, value in preset.items()
        }
    return name


Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME|FILE",
        help="Other defaults for all options: paper, finetune, or a TOML file of your own.",
        is_eager=True,
        callback=_use_preset,
        rich_help_panel=options.MODEL_PANEL,
    ),
]


def train(
    dataset: training.Dataset,
    output: training.Output,
    _preset: Preset = None,
    data_root: options.DataRoot = None,
    model: training.Scale = "n",
    weights: training.Weights = None,
    freeze: training.Freeze = ["none"],  # noqa: B006 - only read
    imgsz: training.Imgsz = 640,
    multi_scale: training.MultiScale = 0.0,
    epochs: schedule.Epochs = 20,
    batch: schedule.Batch = 16,
    accumulate: schedule.Accumulate = 1,
    optimizer: schedule.Optimizer = OptimizerName.MUON,
    lr: schedule.LearningRate = 1e-3,
    weight_decay: schedule.WeightDecay = 0.05,
    clip_grad: schedule.ClipGradients = 10.0,
    average_decay: schedule.AverageDecay = 0.999,
    box_gain: schedule.BoxGain = 7.5,
    text_gain: schedule.TextGain = 0.5,
    distribution_gain: schedule.DistributionGain = 1.5,
    balance: training.BalanceBy = Balance.SOURCE,
    balance_power: training.BalancePower = 0.3,
    balance_threshold: training.BalanceThreshold = 1.0,
    mosaic: training.Mosaic = 0.7,
    appearance: training.AppearanceChoice = Appearance.PLAIN,
    close_mosaic: training.CloseMosaic = 2,
    max_prompts: training.MaxPrompts = 80,
    negatives: training.Negatives = ["random,federated"],  # noqa: B006 - only read
    pseudo_labels: teaching.PseudoLabels = False,
    unknown_objects: teaching.UnknownObjects = False,
    pseudo_score: teaching.PseudoScore = 0.9,
    pseudo_after: teaching.PseudoAfter = 1,
    teacher: teaching.TeacherChoice = Teacher.AVERAGE,
    distill: teaching.Distill = None,
    distill_gain: teaching.DistillGain = 1.0,
    text_encoder: training.TextEncoder = DEFAULT_TEXT_ENCODER,
    text_adapter: training.TextAdapter = True,
    text_start: training.TextStartChoice = TextStart.CENTRED,
    precision: schedule.Precision = "auto",
    device: schedule.Device = "auto",
    compiled: schedule.Compile = False,
    deterministic: schedule.Deterministic = False,
    workers: training.Workers = None,
    seed: schedule.Seed = 0,
    name: training.Name = "medrov",
    log_to: training.LogTo = ["none"],  # noqa: B006 - only read
    save_steps: training.SaveSteps = 500,
    resume: options.Resume = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
) -> None:
    """Train a detector on many sources, and keep the weights of its best epoch.

    The folder gets config.json, metrics.jsonl, curves.png, best.safetensors, and the state for --resume.
    """
    from medrov_cli.core.base.environment import is_offline
    from medrov_cli.core.settings.proposals import PseudoLabelConfig
    from medrov_cli.core.settings.train import DistillationConfig, TrainConfig
    from medrov_cli.core.settings.train_groups import (
        AugmentationConfig,
        BalanceConfig,
        LossGains,
        NegativesConfig,
        ScheduleConfig,
    )
    from medrov_cli.core.training.data.appearance import APPEARANCES
    from medrov_cli.core.training.run import run_training

    asked = training.choices(negatives, Negative, "--negatives")
    if unknown_objects and not pseudo_labels:
        raise MedrovError(
            ErrorCode.USAGE, "--unknown-objects needs --pseudo-labels", "Give both, or neither."
        )
    rules = PseudoLabelConfig(teacher, pseudo_after, min_score=pseudo_score, unknown_objects=unknown_objects)
    config = TrainConfig(
        dataset=dataset,
        output=output,
        data_root=data_root,
        model=model,
        weights=weights,
        freeze=training.choices(freeze, Part, "--freeze"),
        imgsz=imgsz,
        multi_scale=multi_scale,
        epochs=epochs,
        batch=batch,
        accumulate=accumulate,
        seed=seed,
        workers=workers,
        precision=precision,
        device=device,
        max_prompts=max_prompts,
        close_mosaic=close_mosaic,
        text_encoder=text_encoder,
        text_adapter=text_adapter,
        text_start=text_start,
        max_gradient_norm=clip_grad,
        compiled=compiled,
        deterministic=deterministic,
        save_steps=save_steps,
        offline=is_offline(offline),
        resume=resume,
        name=name,
        trackers=training.choices(log_to, Tracker, "--log-to"),
        gains=LossGains(box_gain, text_gain, distribution_gain),
        schedule=ScheduleConfig(optimizer, lr, weight_decay, average_decay=average_decay),
        augmentation=AugmentationConfig(mosaic=mosaic, appearance=APPEARANCES[appearance]),
        balance=BalanceConfig(balance, balance_power, balance_threshold),
        negatives=NegativesConfig(**{str(kind): kind in asked for kind in Negative}),
        pseudo_labels=rules if pseudo_labels else None,
        distillation=None if distill is None else DistillationConfig(distill, distill_gain),
    )
    with console.progress("images") as advance:

        def report(progress: TrainProgress) -> None:
            if progress.precision is not None:
                console.note(f"precision {progress.precision}")
            elif progress.entry is not None:
                console.note(f"epoch {progress.done}/{progress.total}: {_summary(progress.entry)}")
            else:
                advance(*_describe(progress, batch))

        result = run_training(config, report)
    if result.is_main:
        best = result.history[result.best_epoch - 1]
        found = TrainOutput(str(result.weights), result.best_epoch, epochs, best)
        console.success(found, _render, as_json=as_json)


def _summary(entry: Mapping[str, Any]) -> str:
    """Return what an epoch was worth, in a line."""
    words = [f"loss {entry['loss']['total']:.3f}", f"mAP50 {entry['map50']:.3f}"]
    if entry["novel"]:
        words.append(f"base {entry['base']['map50']:.3f}, novel {entry['novel']['map50']:.3f}")
    added = entry["added_a_step"]
    if any(added.values()):
        words.append(
            f"added a step {added['pseudo']:.2f} pseudo-labels, {added['unknown']:.2f} unknown objects"
        )
    return ", ".join(words)


def _describe(progress: TrainProgress, batch: int) -> tuple[int, int, str]:
    """Return images done, their total, and the words before the bar."""
    if progress.stage == "read":
        return progress.done, progress.total, "reading images"
    where = f"epoch {progress.epoch}/{progress.epochs}"
    if progress.stage == "val":
        return progress.done, progress.total, f"{where} validation"
    return progress.done * batch, progress.total * batch, f"{where} training"
