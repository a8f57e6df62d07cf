"""One training step, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from medrov_cli.core.boxes import FloatArray
from medrov_cli.core.data.loader import Batch
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.model.assigner import Targets
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.model.criterion import DetectionCriterion
from medrov_cli.core.model.ema import MovingAverage
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.model.schedule import ScheduleConfig, learning_rate, parameter_groups
from medrov_cli.core.model.state import load_state, save_state
from medrov_cli.core.records import UInt8Array
from medrov_cli.core.training.config import TrainConfig
from medrov_cli.core.weights import resolve

MAX_GRADIENT_NORM = 10.0
"""Ultralytics' trainer."""


@dataclass(slots=True)
class Trainer:
    """What one training step needs. Everything in it is made once, before the first epoch."""

    accelerator: Accelerator
    model: torch.nn.Module
    average: MovingAverage[Detector]
    optimizer: torch.optim.Optimizer
    criterion: DetectionCriterion
    text_table: Tensor
    schedule: ScheduleConfig
    steps: int
    step: int = 0

    def train_step(self, batch: Batch) -> Tensor:
        """Take one optimizer step; return the loss terms (total, box, text, distribution)."""
        device = self.accelerator.device
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.schedule, self.step, self.steps)
        images = batch.images.to(device).float().div_(255)
        targets = Targets(*(t.to(device) for t in (batch.image_index, batch.labels, batch.boxes_xyxy)))
        loss = self.criterion(
            self.model(images, self.text_table[batch.text_rows.to(device)]), targets, batch.ignored.to(device)
        )
        terms = torch.stack(loss).detach()
        if not bool(torch.isfinite(terms).all()):
            raise MedrovError(
                ErrorCode.NON_FINITE_LOSS,
                f"the loss is not finite at step {self.step + 1}",
                "Lower --lr or use --precision fp32. The last whole epoch is kept: --resume goes on from it.",
            )
        self.accelerator.backward(loss.total)
        self.accelerator.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.accelerator.unwrap_model(self.model))
        self.step += 1
        return terms

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write all that the run needs to go on, and ``facts``, into one file."""
        model = self.accelerator.unwrap_model(self.model)
        save_state(path, model, self.average, self.optimizer, facts)

    def load(self, path: Path) -> dict[str, Any]:
        """Put a saved state back in place, and return its facts."""
        return load_state(path, self.accelerator.unwrap_model(self.model), self.average, self.optimizer)

    def predict(self, embeddings: Tensor) -> Callable[[UInt8Array], tuple[FloatArray, FloatArray]]:
        """Return the averaged model as a function of images, for the classes of ``embeddings``."""
        detector = self.average.model

        def run(images_rgb: UInt8Array) -> tuple[FloatArray, FloatArray]:
            images = torch.from_numpy(images_rgb).to(self.accelerator.device)
            images = images.permute(0, 3, 1, 2).float().div_(255)
            with torch.inference_mode(), self.accelerator.autocast():
                boxes, scores = detector.detect(images, embeddings)
            return boxes.cpu().numpy(), scores.cpu().numpy()

        return run


def build_trainer(config: TrainConfig, table: FloatArray, vocabulary: Tensor, steps: int) -> Trainer:
    """Make the model, its average and its optimizer, on the device and in the precision asked for."""
    torch.manual_seed(config.seed)
    precision = "no" if config.precision == "fp32" else config.precision
    accelerator = Accelerator(mixed_precision=precision, cpu=config.device == "cpu")
    if config.device not in ("auto", accelerator.device.type):
        raise MedrovError(
            ErrorCode.USAGE,
            f"--device {config.device} is not available here",
            "Use --device auto, or see 'medrov doctor'.",
        )
    detector = Detector(Architecture(config.model, config.text_adapter))
    if config.weights is None:
        detector.center_text(vocabulary)
    else:
        _start_from(detector, resolve(config.weights))
    detector = detector.to(accelerator.device).to(memory_format=torch.channels_last)
    average = MovingAverage(detector)
    rate = config.schedule.learning_rate
    optimizer = torch.optim.AdamW(
        parameter_groups(detector, config.schedule.weight_decay), lr=rate, fused=True
    )
    model, optimizer = accelerator.prepare(detector, optimizer)
    return Trainer(
        accelerator=accelerator,
        model=model,
        average=average,
        optimizer=optimizer,
        criterion=DetectionCriterion(detector.head),
        text_table=torch.from_numpy(table).float().to(accelerator.device),
        schedule=config.schedule,
        steps=steps * config.epochs,
    )


def _start_from(detector: Detector, path: Path) -> None:
    """Copy the weights of a file; an adapter that the file does not have keeps its start."""
    other = load_detector(path)
    if other.architecture.scale != detector.architecture.scale:
        raise MedrovError(
            ErrorCode.USAGE,
            f"--weights {path} is a model of scale {other.architecture.scale}, --model asks for "
            f"{detector.architecture.scale}",
            f"Use --model {other.architecture.scale}.",
        )
    own = detector.state_dict()
    detector.load_state_dict({**own, **{k: v for k, v in other.state_dict().items() if k in own}})
