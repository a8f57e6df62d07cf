"""Channels and repeats of the layers of each scale, and the tensors of a network; without torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from medrov_cli.core.base.constants import REG_MAX, TEXT_WIDTH
from medrov_cli.core.weights.metadata import ArchitectureInfo

SCALES: dict[str, tuple[float, float, int]] = {
    "n": (0.33, 0.25, 1024),
    "s": (0.33, 0.50, 1024),
    "m": (0.67, 0.75, 768),
    "l": (1.00, 1.00, 512),
    "x": (1.00, 1.25, 512),
}
"""Depth factor, width factor and channel cap of each scale (ultralytics' yolov8-worldv2.yaml)."""

NOMINAL_CLASSES = 80
"""Class count that sets the hidden width of the embedding branch (ultralytics' yaml)."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayerSizes:
    """Sizes of the layers of a scale.

    Attributes
    ----------
    scale
        ``n``, ``s``, ``m``, ``l`` or ``x``.
    """

    scale: str

    def channels(self, nominal: int) -> int:
        """Return the channels of a layer from those of ultralytics' yaml."""
        _, width, cap = SCALES[self.scale]
        return math.ceil(min(nominal, cap) * width / 8) * 8

    def repeats(self, nominal: int) -> int:
        """Return the number of bottlenecks of a layer from that of ultralytics' yaml."""
        return max(round(nominal * SCALES[self.scale][0]), 1)

    def heads(self, nominal: int) -> int:
        """Return the number of attention heads of a layer from that of ultralytics' yaml."""
        _, width, cap = SCALES[self.scale]
        return int(max(round(min(nominal, cap // 2 // 32)) * width, 1))


def head_widths(channels: int) -> tuple[int, int]:
    """Return the hidden width of the box branch and of the text branch, from the channels of level 3."""
    return max(16, channels // 4, REG_MAX * 4), max(channels, min(NOMINAL_CLASSES, 100))


def tensor_shapes(architecture: ArchitectureInfo) -> dict[str, Shape]:
    """Return the shape of every tensor of a network by its name, as in the state dict of torch."""
    sizes = LayerSizes(architecture.scale)
    c64, c128, c256, c512, c1024 = (sizes.channels(c) for c in (64, 128, 256, 512, 1024))
    convolutions = {
        "0": (3, c64), "1": (c64, c128), "3": (c128, c256), "5": (c256, c512), "7": (c512, c1024),
        "16": (c256, c256), "19": (c512, c512),
    }  # fmt: skip
    blocks = {"2": (c128, 3), "4": (c256, 6), "6": (c512, 6), "8": (c1024, 3)}
    attentions = {
        "12": (c1024 + c512, 512, 8), "15": (c512 + c256, 256, 4),
        "18": (c256 + c512, 512, 8), "21": (c512 + c1024, 1024, 16),
    }  # fmt: skip
    found: dict[str, Shape] = {}
    for stem, (inputs, outputs) in convolutions.items():
        found.update(_conv(stem, inputs, outputs, 3))
    for stem, (width, nominal) in blocks.items():
        found.update(_c2f(stem, width, width, sizes.repeats(nominal), 2))
    found.update(_conv("9.cv1", c1024, c1024 // 2, 1))
    found.update(_conv("9.cv2", c1024 // 2 * 4, c1024, 1))
    for stem, (inputs, nominal, heads) in attentions.items():
        outputs = sizes.channels(nominal)
        found.update(_c2f(stem, inputs, outputs, sizes.repeats(3), 3))
        found.update(_attention(f"{stem}.attn", outputs // 2, sizes.heads(heads)))
    found.update(_head("22", (c256, c512, c1024)))
    shapes = {f"model.{name}": shape for name, shape in found.items()}
    if architecture.text_adapter:
        shapes |= {"text_adapter.weight": (TEXT_WIDTH, TEXT_WIDTH), "text_adapter.bias": (TEXT_WIDTH,)}
    if architecture.background:
        shapes["background"] = (TEXT_WIDTH,)
    return shapes


def _conv(stem: str, inputs: int, outputs: int, side: int) -> Iterator[tuple[str, Shape]]:
    yield f"{stem}.conv.weight", (outputs, inputs, side, side)
    yield from _norm(f"{stem}.bn", outputs)


def _norm(stem: str, channels: int) -> Iterator[tuple[str, Shape]]:
    for name in ("weight", "bias", "running_mean", "running_var"):
        yield f"{stem}.{name}", (channels,)
    yield f"{stem}.num_batches_tracked", ()


def _plain(stem: str, *weight: int) -> Iterator[tuple[str, Shape]]:
    yield f"{stem}.weight", weight
    yield f"{stem}.bias", weight[:1]


def _c2f(stem: str, inputs: int, outputs: int, repeats: int, parts: int) -> Iterator[tuple[str, Shape]]:
    """Yield a C2f block; ``parts`` are concatenated with the bottlenecks."""
    half = outputs // 2
    yield from _conv(f"{stem}.cv1", inputs, 2 * half, 1)
    yield from _conv(f"{stem}.cv2", (parts + repeats) * half, outputs, 1)
    for row in range(repeats):
        for name in ("cv1", "cv2"):
            yield from _conv(f"{stem}.m.{row}.{name}", half, half, 3)


def _attention(stem: str, channels: int, heads: int) -> Iterator[tuple[str, Shape]]:
    """Yield the attention of a guided block; of equal widths of features and guides, without ``ec``."""
    yield f"{stem}.bias", (heads,)
    yield from _plain(f"{stem}.gl", channels, TEXT_WIDTH)
    yield from _conv(f"{stem}.proj_conv", channels, channels, 3)


def _head(stem: str, channels: tuple[int, ...]) -> Iterator[tuple[str, Shape]]:
    box_width, text_width = head_widths(channels[0])
    for level, width in enumerate(channels):
        for branch, hidden, outputs in (("cv2", box_width, 4 * REG_MAX), ("cv3", text_width, TEXT_WIDTH)):
            yield from _conv(f"{stem}.{branch}.{level}.0", width, hidden, 3)
            yield from _conv(f"{stem}.{branch}.{level}.1", hidden, hidden, 3)
            yield from _plain(f"{stem}.{branch}.{level}.2", outputs, hidden, 1, 1)
        yield f"{stem}.cv4.{level}.bias", (1,)
        yield f"{stem}.cv4.{level}.logit_scale", ()
        yield from _norm(f"{stem}.cv4.{level}.norm", TEXT_WIDTH)
    yield f"{stem}.dfl.conv.weight", (1, REG_MAX, 1, 1)
