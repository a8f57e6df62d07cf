"""All settings of a training run, and where it stands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import DEFAULT_TEXT_ENCODER
from medrov_cli.core.base.processor import PrecisionChoice
from medrov_cli.core.settings.choices import Part, TextStart, Tracker
from medrov_cli.core.settings.proposals import PseudoLabelConfig
from medrov_cli.core.settings.train_groups import (
    AugmentationConfig,
    BalanceConfig,
    LossGains,
    NegativesConfig,
    ScheduleConfig,
)


@dataclass(frozen=True, slots=True)
class DistillationConfig:
    """Whom a network learns from beside the truth.

    Attributes
    ----------
    weights
        The teacher's.
    gain
        Weight of what it says beside the training loss.
    """

    weights: str
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All settings of a run, as they are written beside its weights.

    Attributes
    ----------
    dataset
        The dataset yaml.
    output
        Folder of the run.
    data_root
        Folder of the sources in place of the yaml's.
    model
        Scale: n, s, m, l or x.
    weights
        Weights to start from; null trains from scratch.
    freeze
        Parts of the network that stay as they are.
    imgsz
        Side of the square model input, in pixels; a multiple of 32.
    multi_scale
        Each batch has a side within this share of ``imgsz``; 0 keeps the side fixed.
    epochs, seed
        As everywhere.
    batch
        Images an optimizer step, over all processes.
    accumulate
        Each process takes its share of a step in so many parts, one after the other: less
        memory, but a batch norm sees a part alone.
    workers
        Processes that make batches, for each training process; null: see :func:`workers_for`.
    precision
        ``auto``, ``bf16``, ``fp16`` or ``fp32``; see
        :func:`~medrov_cli.core.model.precision.choose_precision`.
    device
        ``auto``, ``cpu``, ``cuda``, ``mps``.
    max_prompts
        Prompts a sample (the paper: 80).
    close_mosaic
        The last so many epochs train on whole images (ultralytics: 10 of 100).
    text_encoder
        Spec of the encoder of class names.
    text_adapter
        Train a linear map on the class embeddings: it pulls apart what the encoder puts
        together (left and right lung).
    text_start
        What that map is at first, unless weights to start from bring their own.
    max_gradient_norm
        Larger gradients are scaled down to this (ultralytics: 10); 0 leaves them.
    compiled
        Compile the network with ``torch.compile``.
    deterministic
        Refuse every operation that is not the same in each run. The CPU needs no such thing.
    save_steps
        The state is saved after so many optimizer steps, and after each epoch; 0: after each
        epoch alone.
    resume
        Go on where the folder's last state was saved.
    trackers
        Where else the run is reported.
    gains
        Weights of the loss's terms.
    schedule, augmentation, balance, negatives
        Learning rate; strengths; which images; which prompts.
    pseudo_labels
        How a teacher's proposals become targets; null: they do not.
    distillation
        Another network whose answers are learned; null: there is none.
    """

    dataset: Path
    output: Path
    data_root: Path | None = None
    model: str = "n"
    weights: str | None = None
    freeze: tuple[Part, ...] = ()
    imgsz: int = 640
    multi_scale: float = 0.0
    epochs: int = 20
    batch: int = 16
    accumulate: int = 1
    seed: int = 0
    workers: int | None = None
    precision: str = "auto"
    device: str = "auto"
    max_prompts: int = 80
    close_mosaic: int = 2
    text_encoder: str = DEFAULT_TEXT_ENCODER
    text_adapter: bool = True
    text_start: TextStart = TextStart.CENTRED
    max_gradient_norm: float = 10.0
    compiled: bool = False
    deterministic: bool = False
    save_steps: int = 500
    offline: bool = False
    resume: bool = False
    name: str = "medrov"
    trackers: tuple[Tracker, ...] = ()
    gains: LossGains = field(default_factory=LossGains)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    pseudo_labels: PseudoLabelConfig | None = None
    distillation: DistillationConfig | None = None


def workers_for(device: str, processes: int = 1) -> int:
    """Return how many processes should make batches for one training process.

    A GPU waits for batches, so it gets up to eight. On a CPU they take cores from the network:
    of two cores none is left for them (measured), of many one or two are.

    Parameters
    ----------
    device
        Torch's type of it.
    processes
        Training processes on this machine.
    """
    cores = (os.cpu_count() or 1) // processes
    return min(cores // 4, 2) if device == "cpu" else min(cores, 8)


def settings_of(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    return plain


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where a run is, for a progress bar.

    Attributes
    ----------
    stage
        ``precision``, ``read``, ``train``, ``val``, or ``epoch`` for one that has ended.
    done, total
        Images, steps, images, epochs.
    epoch, epochs
        1-based.
    loss
        Of the last step.
    entry
        What an epoch that has ended was worth, as in ``metrics.jsonl``.
    precision
        The number format that was chosen, and why; at the start.
    """

    stage: str
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    entry: Mapping[str, Any] | None = None
    precision: PrecisionChoice | None = None


TrainProgressCallback = Callable[[TrainProgress], None]
