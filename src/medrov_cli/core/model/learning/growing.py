"""Make a wider network of a trained one that answers the same, and has room to learn more.

Source: Net2Net (arXiv 1511.05641). Every channel that the wider network has beside the trained ones is
the copy of one, and whoever reads them shares what it took from the one between the copies. Here each
weight is shared in a random proportion of its own: the sum is exact, and no two copies are moved alike
by the same gradients, so no noise is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medrov_cli.core.model.network import SCALES, Detector

_BACKBONE = (("1", "2"), ("3", "4"), ("5", "6"), ("7", "8"))
"""Each convolution that halves the map, and the stage behind it."""

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def can_grow(small: str, large: str) -> bool:
    """Return whether a network of one scale can be made from one of another: as deep, and wider."""
    (depth, width, cap), (large_depth, large_width, large_cap) = SCALES[small], SCALES[large]
    return depth == large_depth and cap == large_cap and width < large_width


@torch.no_grad()
def grow(small: Detector, large: Detector, generator: torch.Generator) -> None:
    """Fill a detector with what a narrower one knows: for every image and text it answers the same.

    Parameters
    ----------
    small
        The trained detector.
    large
        Of a scale that :func:`can_grow` allows; its text adapter and background are left as they are
        where ``small`` has none.
    generator
        Of the proportions.

    Raises
    ------
    ValueError
        If the scales do not allow it.
    """
    if not can_grow(small.architecture.scale, large.architecture.scale):
        raise ValueError(f"{small.architecture.scale} cannot grow to {large.architecture.scale}")
    _Growth(small, large, generator).run()


class _Growth:
    """The walk through both networks. A "map" gives, for each wider channel, the channel it copies."""

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
        """Fill a C2f or C2fAttn: halves of one convolution, a chain of bottlenecks, all read at once."""
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
            # A head is a run of channels; the copies of all heads follow all heads.
            for tensor in ("gl.weight", "gl.bias", "bias"):
                self._copy(f"{name}.attn.{tensor}")
            self._conv(f"{name}.attn.proj_conv", half, half)
            parts.append(half)
        return self._conv(f"{name}.cv2", _joined(parts))

    def _conv(self, name: str, inputs: Tensor, outputs: Tensor | None = None) -> Tensor:
        """Fill a convolution with its batch norm; return the map of its channels."""
        if outputs is None:
            weight = f"{name}.conv.weight"
            outputs = _stretched(len(self._from[weight]), len(self._to[weight]))
        self._weight(f"{name}.conv.weight", inputs, outputs)
        for tensor in _BATCH_NORM:
            self._to[f"{name}.bn.{tensor}"].copy_(self._from[f"{name}.bn.{tensor}"][outputs])
        return outputs

    def _weight(self, name: str, inputs: Tensor, outputs: Tensor) -> None:
        """Fill the weights of a convolution, (out, in, k, k): copies in ``inputs`` share them."""
        shares = torch.rand((len(outputs), len(inputs)), generator=self._generator) + 0.5
        sums = torch.zeros((len(outputs), int(inputs.max()) + 1)).index_add_(1, inputs, shares)
        wide = self._from[name][outputs][:, inputs]
        self._to[name].copy_(wide * (shares / sums[:, inputs])[:, :, None, None])

    def _copy(self, name: str) -> None:
        value = self._from[name]
        self._to[name].copy_(value[_stretched(len(value), len(self._to[name]))])

    def _rest(self, prefix: str) -> None:
        """Take over tensors that are as large in both."""
        for name, value in self._from.items():
            if name.startswith(prefix) and name in self._to:
                self._to[name].copy_(value)


def _stretched(small: int, large: int) -> Tensor:
    """Return the map of ``large`` channels that are all ``small`` ones, and those from the first again."""
    return torch.arange(large) % small


def _joined(maps: Sequence[Tensor]) -> Tensor:
    """Return the map of channels that lie behind one another."""
    ends = torch.tensor([0, *(int(own.max()) + 1 for own in maps)]).cumsum(0)
    return torch.cat([own + start for own, start in zip(maps, ends[:-1], strict=True)])
