"""Detector in torch with folded classes, for inference on any device.

It is the torch twin of :mod:`medrov_cli.core.model.graph.network`: batch norms are fused with their
convolutions, and the classes are a few small matrices (:mod:`medrov_cli.core.model.folding`). No operation
depends on values, so that a GPU can record the whole pass once and repeat it.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from medrov_cli.core.model.network import Detector
from medrov_cli.core.model.pooling import pool


class NetworkParts(NamedTuple):
    """Outputs at all anchors, from which candidates are selected.

    Attributes
    ----------
    distances
        (batch, anchors, 64): logits of the distances left, top, right, bottom.
    hidden
        (batch, anchors, c): region vectors.
    best
        (batch, anchors): the largest logit of the classes.
    pooled
        float32, (batch, 2 * channels): pooled features of the backbone.
    """

    distances: Tensor
    hidden: Tensor
    best: Tensor
    pooled: Tensor


class FoldedNetwork(nn.Module):
    """Network from images and folded classes to :class:`NetworkParts`.

    Parameters
    ----------
    detector
        Detector with fused batch norms, in evaluation mode.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(
        self,
        images: Tensor,
        kernels: tuple[Tensor, ...],
        constants: tuple[Tensor, ...],
        guides: tuple[Tensor, ...],
    ) -> NetworkParts:
        """Return the parts of images, (batch, 3, height, width), 0 to 1, in the format of the network.

        ``kernels`` (classes, c), ``constants`` (1, classes) and ``guides`` (heads, texts, width) are those
        of :class:`~medrov_cli.core.records.folded_text.FoldedText` in the same format.
        """
        stages = self.detector.stages(images)
        levels = self._guide(stages, guides)
        head = self.detector.head
        hidden = list(head.hidden(levels))
        best = [
            torch.matmul(rows, kernel.T).add_(constant).amax(-1)
            for rows, kernel, constant in zip(hidden, kernels, constants, strict=True)
        ]
        distances = [
            branch(level).flatten(2).transpose(1, 2) for branch, level in zip(head.cv2, levels, strict=True)
        ]
        return NetworkParts(torch.cat(distances, 1), torch.cat(hidden, 1), torch.cat(best, 1), pool(stages))

    def _guide(
        self, stages: tuple[Tensor, Tensor, Tensor], guides: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three text-guided levels, as :meth:`Detector.guide` with folded classes."""
        layers = self.detector.model
        p3, p4, deepest = stages
        p5 = layers["9"](deepest)
        top4 = _guided(layers["12"], torch.cat((_double(p5), p4), 1), guides[0])
        level3 = _guided(layers["15"], torch.cat((_double(top4), p3), 1), guides[1])
        level4 = _guided(layers["18"], torch.cat((layers["16"](level3), top4), 1), guides[2])
        level5 = _guided(layers["21"], torch.cat((layers["19"](level4), p5), 1), guides[3])
        return level3, level4, level5


def _guided(block: nn.Module, x: Tensor, guides: Tensor) -> Tensor:
    """Return the output of a block that ends in text-guided attention."""
    parts = list(cast(nn.Module, block.cv1)(x).chunk(2, 1))
    for layer in cast(nn.ModuleList, block.m):
        parts.append(layer(parts[-1]))
    parts.append(_attention(cast(nn.Module, block.attn), parts[-1], guides))
    return cast(Tensor, cast(nn.Module, block.cv2)(torch.cat(parts, 1)))


def _attention(attention: nn.Module, x: Tensor, guides: Tensor) -> Tensor:
    """Weight features by their largest similarity to a class; ``guides`` are (heads, texts, width)."""
    batch, _, height, width = x.shape
    heads, _, depth = guides.shape
    embedding = cast(nn.Module | None, attention.ec)
    embedded = x if embedding is None else embedding(x)
    rows = embedded.permute(0, 2, 3, 1).reshape(batch, height * width, heads, depth).transpose(1, 2)
    likeness = torch.matmul(rows, guides.transpose(1, 2)).amax(-1)  # (batch, heads, cells)
    gate = (likeness + cast(Tensor, attention.bias)[:, None]).sigmoid().view(batch, heads, 1, height, width)
    values = cast(Tensor, cast(nn.Module, attention.proj_conv)(x))
    return (values.view(batch, heads, -1, height, width) * gate).flatten(1, 2)


def _double(x: Tensor) -> Tensor:
    """Return feature maps of twice the height and width (nearest neighbour)."""
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
