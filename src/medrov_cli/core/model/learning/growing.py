"""Initialisation of a wider network from a trained one, with equal outputs.

Source: Net2Net (arXiv 1511.05641). Every additional channel is a copy of a trained one, and the weights that
read a channel are divided between its copies. Here each weight is divided in its own random proportion: the
sum is exact, and copies receive different gradients, so that no noise is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medrov_cli.core.model.network import Detector
from medrov_cli.core.model.scales import SCALES

_BACKBONE = (("1", "2"), ("3", "4"), ("5", "6"), ("7", "8"))
"""Each convolution with stride 2, and the stage after it."""

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def can_grow(small: str, large: str) -> bool:
    """Return whether one scale can initialise another, which must have equal depth and more width."""
    (depth, width, cap), (large_depth, large_width, large_cap) = SCALES[small], SCALES[large]
    return depth == large_depth and cap == large_cap and width < large_width


@torch.no_grad()
def grow(small: Detector, large: Detector, generator: torch.Generator) -> None:
    """Set the weights of a detector from a narrower one, with equal outputs for all images and texts.

    Parameters
    ----------
    small
        Trained detector.
    large
        Detector of a scale that :func:`can_grow` allows; its text adapter and background are not changed
        if ``small`` has none.
    generator
        Random generator of the proportions.

    Raises
    ------
    ValueError
        If the scales do not allow it.
    """
    if not can_grow(small.architecture.scale, large.architecture.scale):
        raise ValueError(f"{small.architecture.scale} cannot grow to {large.architecture.scale}")
    _Growth(small, large, generator).run()


class _Growth:
    """Traversal of both networks. A "map" holds the copied channel of each wider channel."""

    def __init__(self, small: Detector, large: Detector, generator: torch.Generator) -> None:
        self._from = small.state_dict()
        self._to = large.state_dict()  # shares its memory with the network
        self._generator = generator

    def run(self) -> None:
        x = self._conv("model.0", torch.arange(3))
        stages = []
        for halving, stage in _BACKBONE:
            x = self._stage(f"model.{stage}", self._conv(f"model.{halving}", x))
            stages.append(x)
        _, p3, p4, top = stages
        pooled = self._conv("model.9.cv1", top)
        p5 = self._conv("model.9.cv2", _joined([pooled] * 4))
        top4 = self._stage("model.12", _joined([p5, p4]))
        level3 = self._stage("model.15", _joined([top4, p3]))
        level4 = self._stage("model.18", _joined([self._conv("model.16", level3), top4]))
        level5 = self._stage("model.21", _joined([self._conv("model.19", level4), p5]))
        for number, level in enumerate((level3, level4, level5)):
            for branch in ("cv2", "cv3"):
                name = f"model.22.{branch}.{number}"
                hidden = self._conv(f"{name}.1", self._conv(f"{name}.0", level))
                self._weight(f"{name}.2.weight", hidden, torch.arange(len(self._to[f"{name}.2.weight"])))
                self._copy(f"{name}.2.bias")
            self._rest(f"model.22.cv4.{number}.")
        self._rest("text_adapter.")
        self._rest("background")

    def _stage(self, name: str, inputs: Tensor) -> Tensor:
        """Set a C2f or C2fAttn: halves of one convolution and a chain of bottlenecks, concatenated."""
        half = _stretched(*(len(side[f"{name}.cv1.conv.weight"]) // 2 for side in (self._from, self._to)))
        self._conv(f"{name}.cv1", inputs, _joined([half, half]))
        parts = [half, half]
        number = 0
        while f"{name}.m.{number}.cv1.conv.weight" in self._to:
            for layer in ("cv1", "cv2"):
                self._conv(f"{name}.m.{number}.{layer}", half, half)
            parts.append(half)
            number += 1
        if f"{name}.attn.bias" in self._to:
            # A head is a contiguous range of channels; the copies of all heads follow all heads.
            for tensor in ("gl.weight", "gl.bias", "bias"):
                self._copy(f"{name}.attn.{tensor}")
            self._conv(f"{name}.attn.proj_conv", half, half)
            parts.append(half)
        return self._conv(f"{name}.cv2", _joined(parts))

    def _conv(self, name: str, inputs: Tensor, outputs: Tensor | None = None) -> Tensor:
        """Set a convolution with its batch norm; return the map of its channels."""
        if outputs is None:
            weight = f"{name}.conv.weight"
            outputs = _stretched(len(self._from[weight]), len(self._to[weight]))
        self._weight(f"{name}.conv.weight", inputs, outputs)
        for tensor in _BATCH_NORM:
            self._to[f"{name}.bn.{tensor}"].copy_(self._from[f"{name}.bn.{tensor}"][outputs])
        return outputs

    def _weight(self, name: str, inputs: Tensor, outputs: Tensor) -> None:
        """Set the weights of a convolution, (out, in, k, k), divided between copies in ``inputs``."""
        shares = torch.rand((len(outputs), len(inputs)), generator=self._generator) + 0.5
        sums = torch.zeros((len(outputs), int(inputs.max()) + 1)).index_add_(1, inputs, shares)
        wide = self._from[name][outputs][:, inputs]
        self._to[name].copy_(wide * (shares / sums[:, inputs])[:, :, None, None])

    def _copy(self, name: str) -> None:
        value = self._from[name]
        self._to[name].copy_(value[_stretched(len(value), len(self._to[name]))])

    def _rest(self, prefix: str) -> None:
        """Copy tensors of equal shape."""
        for name, value in self._from.items():
            if name.startswith(prefix) and name in self._to:
                self._to[name].copy_(value)


def _stretched(small: int, large: int) -> Tensor:
    """Return the map of ``large`` channels: all ``small`` ones, then copies from the first on."""
    return torch.arange(large) % small


def _joined(maps: Sequence[Tensor]) -> Tensor:
    """Return the map of concatenated channels."""
    ends = torch.tensor([0, *(int(own.max()) + 1 for own in maps)]).cumsum(0)
    return torch.cat([own + start for own, start in zip(maps, ends[:-1], strict=True)])
