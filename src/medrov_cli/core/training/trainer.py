"""Training step and its parts."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.presence import NOBODY
from medrov_cli.core.engines.anchors import keep_above
from medrov_cli.core.model.learning.assigner import Targets
from medrov_cli.core.model.learning.criterion import DetectionCriterion
from medrov_cli.core.model.learning.distillation import Distillation
from medrov_cli.core.model.learning.freezing import train_mode
from medrov_cli.core.model.learning.moving_average import MovingAverage
from medrov_cli.core.model.learning.schedule import learning_rate
from medrov_cli.core.model.learning.state import load_state, save_state
from medrov_cli.core.model.network import Detector, RawPredictions
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.settings.choices import Part, Teacher
from medrov_cli.core.settings.train_groups import ScheduleSettings
from medrov_cli.core.training.data.batch import Batch
from medrov_cli.core.training.pseudolabels.proposals import AddedCounts, PseudoLabeller
from medrov_cli.core.training.pseudolabels.targets import TrainingTargets
from medrov_cli.core.training.pseudolabels.teacher import predict_candidates

LOSS_TERMS = ("total", "box", "text", "distribution", "distillation")
"""Names of the loss and its weighted terms: means over processes and parts. Without a teacher the last term
is 0."""

ADDED = ("pseudo", "unknown")
"""Names of the numbers of targets that a teacher added: sums over processes and parts."""

TERMS = (*LOSS_TERMS, *ADDED)
"""Names of the values of a step."""


@dataclass(slots=True)
class Trainer:
    """Trainer of single steps. Its parts are created once, before the first epoch.

    ``model`` is ``detector`` in the wrappers of accelerate, for several processes or a compiler.
    """

    accelerator: Accelerator
    detector: Detector
    model: torch.nn.Module
    average: MovingAverage[Detector]
    optimizer: torch.optim.Optimizer
    criterion: DetectionCriterion
    text_table: Tensor
    schedule: ScheduleSettings
    steps: int
    max_gradient_norm: float
    frozen: tuple[Part, ...] = ()
    labeller: PseudoLabeller | None = None
    distillation: Distillation | None = None
    step: int = 0
    epoch: int = 0

    def begin_epoch(self, epoch: int, step: int) -> None:
        """Set the network to training mode, before the given epoch and step of the run, both 0-based."""
        self.epoch, self.step = epoch, step
        self.model.train()
        train_mode(self.detector, self.frozen)

    def train_step(self, parts: Sequence[Batch]) -> Tensor:
        """Take one optimizer step on the parts of a batch; return the values of `TERMS`, (7,)."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.schedule, self.step, self.steps)
        report = torch.zeros(len(TERMS))
        for number, part in enumerate(parts, start=1):
            images, training_targets, counts = self._targets(part)
            last = number == len(parts)
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                raw = self.model(images, training_targets.text)
                loss = self.criterion(raw, training_targets.targets, training_targets.ignored)
                distilled = self._distilled(images, training_targets.text, part, raw)
                total = loss.total + distilled
                terms = torch.stack((total, *loss[1:], distilled, *map(total.new_tensor, counts)))
                terms = self._summed(terms.detach())
                if not bool(torch.isfinite(terms).all()):
                    raise MedrovError(
                        ErrorCode.NON_FINITE_LOSS,
                        f"the loss is not finite at step {self.step + 1}",
                        "Lower --lr in a new --output, or --resume with --precision fp32: the last saved "
                        "state is complete.",
                    )
                self.accelerator.backward(total / len(parts))
            report += terms.cpu()
        report[: len(LOSS_TERMS)] /= len(parts) * self.accelerator.num_processes
        if self.max_gradient_norm > 0:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.max_gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.detector)
        self.step += 1
        return report

    def _targets(self, batch: Batch) -> tuple[Tensor, TrainingTargets, AddedCounts]:
        """Return images and targets on the device, and the numbers of targets that the teacher added."""
        device = self.accelerator.device
        images = batch.images.to(device).float().div_(255)
        targets = Targets(*(t.to(device) for t in (batch.image_index, batch.labels, batch.boxes_xyxy)))
        text = self.text_table[batch.text_rows.to(device)]
        training_targets = TrainingTargets(text, targets, batch.ignored.to(device))
        if self.labeller is None or self.epoch < self.labeller.config.first_epoch:
            return images, training_targets, AddedCounts()
        config = self.labeller.config
        teacher = self.average.model if config.teacher is Teacher.AVERAGE else self.detector
        with self.accelerator.autocast():
            candidates = predict_candidates(teacher, images, text, batch.classes, config.min_score)
        return images, *self.labeller(training_targets, batch, candidates)

    def _distilled(self, images: Tensor, text: Tensor, batch: Batch, raw: RawPredictions) -> Tensor:
        """Return the distillation loss; 0 without a teacher."""
        if self.distillation is None:
            return images.new_zeros(())
        valid = (batch.classes != NOBODY).to(images.device)
        with self.accelerator.autocast():
            return self.distillation(images, text[:, : valid.shape[1]], valid, raw)

    def _summed(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.accelerator.num_processes == 1:
            return values
        return cast(Tensor, self.accelerator.reduce(values, "sum"))

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write the complete state of the run, and ``facts``, to one file."""
        scaler = self.accelerator.scaler
        document = {**facts, "scaler": scaler.state_dict() if scaler else None}
        save_state(path, self.detector, self.average, self.optimizer, document)

    def load(self, path: Path) -> dict[str, Any]:
        """Restore a saved state, and return its facts."""
        facts = load_state(path, self.detector, self.average, self.optimizer)
        scaler, saved = self.accelerator.scaler, facts.pop("scaler")
        if scaler and saved:  # absent in a state of another precision
            scaler.load_state_dict(saved)
        return facts

    def live_engine(self, embeddings: Tensor, imgsz: int) -> LiveEngine:
        """Return the moving average as an engine, for the classes of ``embeddings``."""
        return LiveEngine(self.accelerator, self.average.model, embeddings, imgsz)


class LiveEngine:
    """Network in training as a :class:`medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    accelerator
        Accelerator with device and number format.
    detector
        Network in evaluation mode.
    embeddings
        float32, (classes, 512), on the device.
    imgsz
        Side of the square model input, in pixels.
    """

    def __init__(self, accelerator: Accelerator, detector: Detector, embeddings: Tensor, imgsz: int) -> None:
        self.name = f"training-{accelerator.device.type}"
        self.imgsz = imgsz
        self.is_accelerator = accelerator.device.type != "cpu"
        self.streams = 1
        self._accelerator = accelerator
        self._detector = detector
        self._embeddings = embeddings

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        images = torch.from_numpy(images_rgb).to(self._accelerator.device)
        images = images.permute(0, 3, 1, 2).float().div_(255)
        with torch.inference_mode(), self._accelerator.autocast():
            boxes, scores = self._detector.detect(images, self._embeddings)
        pairs = zip(boxes.cpu().numpy(), scores.cpu().numpy(), strict=True)
        return [keep_above(box, score, floor) for box, score in pairs]
