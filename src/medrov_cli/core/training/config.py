"""All settings of a training run, and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medrov_cli.core.config import DEFAULT_TEXT_ENCODER
from medrov_cli.core.data.augmentation import AugmentationConfig
from medrov_cli.core.model.schedule import ScheduleConfig


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
    imgsz
        Side of the square model input, in pixels; a multiple of 32.
    multi_scale
        Each batch has a side within this share of ``imgsz``; 0 keeps the side fixed.
    epochs, batch, seed, workers
        As everywhere.
    precision
        ``bf16``, ``fp16`` or ``fp32``.
    device
        ``auto``, ``cpu``, ``cuda``, ``mps``.
    balance
        0 draws all images equally often, 1 all sources.
    max_prompts
        Prompts a sample (the paper: 80).
    close_mosaic
        The last so many epochs train on whole images (ultralytics: 10 of 100).
    text_encoder
        Spec of the encoder of class names.
    text_adapter
        Train a linear map on the class embeddings: it pulls apart what the encoder puts
        together (left and right lung).
    resume
        Go on where the folder's last epoch ended.
    schedule, augmentation
        Learning rate; strengths.
    """

    dataset: Path
    output: Path
    data_root: Path | None = None
    model: str = "n"
    weights: str | None = None
    imgsz: int = 640
    multi_scale: float = 0.0
    epochs: int = 20
    batch: int = 16
    seed: int = 0
    workers: int = 1
    precision: str = "bf16"
    device: str = "auto"
    balance: float = 0.3
    max_prompts: int = 80
    close_mosaic: int = 2
    text_encoder: str = DEFAULT_TEXT_ENCODER
    text_adapter: bool = True
    offline: bool = False
    resume: bool = False
    name: str = "medrov"
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


def settings_of(config: TrainConfig) -> dict[str, Any]:
    """Return the settings as JSON."""
    plain = asdict(config)
    return {key: str(value) if isinstance(value, Path) else value for key, value in plain.items()}


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where a run is, for a progress bar."""

    stage: str
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None


Progress = Callable[[TrainProgress], None]
