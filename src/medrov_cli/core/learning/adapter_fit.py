"""Fit of an adapter: low-rank changes of the neck and the head, with the backbone as it is.

The changes, and the vectors of the classes, follow the gradient of the training loss on changed views of the
examples. Batch norms keep their statistics. The vectors are only a help: the classes are fitted to the region
vectors of the adapted network afterwards (:mod:`medrov_cli.core.learning.class_fit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from medrov_cli.core.base.progress import Progress
from medrov_cli.core.learning.example_squares import ExampleSquare, SquareSampler
from medrov_cli.core.learning.starts import as_arrays
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.model.learning.assigner import Targets
from medrov_cli.core.model.learning.criterion import DetectionCriterion
from medrov_cli.core.model.network import Detector, RawPredictions
from medrov_cli.core.prediction.embedding_space import Vector
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.weights.adapter import Adapter

RANK = 4
"""Rank of each change."""

STEPS = 100
"""Optimizer steps."""

BATCH = 8
"""Images per step."""

RATE = 3e-3
"""Largest learning rate of the changes; it rises in the first tenth of the steps and falls to zero."""

VECTOR_RATE = 1e-3
"""Largest learning rate of the vectors, in units of their root mean square."""

DECAY = 1e-2
"""Weight decay of the changes (AdamW)."""

CLIP_GRAD = 10.0
"""Largest norm of the gradients."""

ADAPTED = ("9", "12", "15", "16", "18", "19", "21", "22.cv2", "22.cv3")
"""Layers whose convolutions are changed: the neck and the head."""


class LowRank(nn.Module):
    """Parametrisation of a kernel: the kernel plus the product of two factors."""

    def __init__(self, kernel: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        inputs = kernel[0].numel()
        self.up = nn.Parameter(torch.zeros(kernel.shape[0], rank))
        self.down = nn.Parameter(torch.randn(rank, inputs, generator=generator) / inputs**0.5)

    def forward(self, kernel: Tensor) -> Tensor:
        """Return the changed kernel."""
        return kernel + (self.up @ self.down).view_as(kernel)


@dataclass(frozen=True, slots=True, eq=False)
class AdapterTask:
    """What an adapter is fitted to.

    Attributes
    ----------
    weights
        Weights file of the network.
    guides
        Class embeddings that guide its attention, float32, (texts, 512), L2 norm 1.
    imgsz
        Side of the square model input, in pixels.
    classes
        Names of the classes.
    """

    weights: Path
    guides: Float32Array
    imgsz: int
    classes: tuple[str, ...]

    def fit(
        self, squares: Sequence[ExampleSquare], vectors: Sequence[Sequence[Vector]], progress: Progress
    ) -> Adapter:
        """Return the adapter after `STEPS` steps; equal input and threads give an equal adapter.

        Parameters
        ----------
        squares
            The images.
        vectors
            Vectors of each class, from which the fit starts.
        progress
            Called with the number of steps.
        """
        generator = torch.Generator().manual_seed(0)
        network = load_detector(self.weights).requires_grad_(requires_grad=False)
        network = network.to(memory_format=torch.channels_last)
        changes = _add_changes(network, generator)
        columns = _Columns(vectors)
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for own in changes.values() for p in own.parameters()], "weight_decay": DECAY},
                {"params": list(columns.parameters()), "weight_decay": 0.0},
            ]
        )
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        criterion = DetectionCriterion(network.head)
        with torch.no_grad():
            guides = network.adapt_text(torch.from_numpy(self.guides))
        sampler = SquareSampler(squares, self.classes, self.imgsz, np.random.default_rng(0))
        for step in range(STEPS):
            progress(step, STEPS, "steps")
            share = _share(step)
            for group, rate in zip(optimizer.param_groups, (RATE, VECTOR_RATE), strict=True):
                group["lr"] = rate * share
            batch = sampler.draw(BATCH)
            # (b, h, w, 3) in memory is (b, 3, h, w) in the channels-last format
            images = torch.from_numpy(batch.images_rgb).permute(0, 3, 1, 2).float() / 255
            targets = Targets(
                *(torch.from_numpy(own) for own in (batch.rows, batch.labels, batch.boxes_xyxy))
            )
            raw = _predict(network, images, guides, columns)
            loss = criterion(raw, targets, torch.from_numpy(~batch.is_annotated)).total
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, CLIP_GRAD)
            optimizer.step()
        progress(STEPS, STEPS, "steps")
        return Adapter(
            {
                name: (own.up.detach().numpy().copy(), own.down.detach().numpy().copy())
                for name, own in changes.items()
            }
        )


class _Columns(nn.Module):
    """Vectors of the classes, with changes in units of each vector's size as parameters."""

    def __init__(self, vectors: Sequence[Sequence[Vector]]) -> None:
        super().__init__()
        kernels, constants = as_arrays([vector for own in vectors for vector in own])
        self._kernels = torch.from_numpy(kernels)
        self._constants = torch.from_numpy(constants)
        self._size = self._kernels.pow(2).mean(-1, keepdim=True).sqrt()
        self._owners = torch.from_numpy(np.repeat(np.arange(len(vectors)), [len(own) for own in vectors]))
        self._count = len(vectors)
        self.turn = nn.Parameter(torch.zeros_like(self._kernels))
        self.shift = nn.Parameter(torch.zeros_like(self._constants))

    def forward(self, level: int, hidden: Tensor) -> Tensor:
        """Return the logits of the classes at the anchors of a level, (batch, anchors, classes)."""
        kernels = self._kernels[level] + self._size[level] * self.turn[level]
        every = hidden @ kernels.T + (self._constants[level] + self.shift[level])
        if len(self._owners) == self._count:
            return every
        rows = [every[..., self._owners == number].amax(-1) for number in range(self._count)]
        return torch.stack(rows, -1)


def _add_changes(network: Detector, generator: torch.Generator) -> dict[str, LowRank]:
    """Add a change to each convolution of the neck and the head that is not a product with texts."""
    found = [
        (f"model.{name}.weight", module)
        for name, module in network.model.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1 and name.startswith(ADAPTED)
    ]
    texts = {id(branch[-1]) for branch in network.head.cv3}  # type: ignore[index]
    changes = {}
    for name, module in found:
        if id(module) not in texts:
            changes[name] = LowRank(module.weight, RANK, generator)
            parametrize.register_parametrization(module, "weight", changes[name])
    return changes


def _predict(network: Detector, images: Tensor, guides: Tensor, columns: _Columns) -> RawPredictions:
    """Return distances and the logits of the new classes; the backbone has no gradient."""
    with torch.no_grad():
        stages = network.stages(images)
    levels = network.guide(stages, guides.expand(len(images), -1, -1))
    head = network.head
    logits = [columns(level, hidden) for level, hidden in enumerate(head.hidden(levels))]
    distances = [
        branch(level).flatten(2).transpose(1, 2) for branch, level in zip(head.cv2, levels, strict=True)
    ]
    grid = tuple((level.shape[2], level.shape[3]) for level in levels)
    return RawPredictions(torch.cat(distances, 1), torch.cat(logits, 1), grid)


def _share(step: int) -> float:
    """Return the learning rate of a step relative to the largest."""
    warm = STEPS // 10
    return (step + 1) / warm if step < warm else (STEPS - step) / (STEPS - warm)
