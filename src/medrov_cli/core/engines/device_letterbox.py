"""Letterbox on the device of the network: the pixels of :mod:`medrov_cli.core.records.letterbox`.

Scaling is separable and linear, so that it is two products with matrices of weights: area means where the
image becomes smaller, else linear interpolation. Values differ from those of the host by one grey level at
most, because OpenCV interpolates with weights of eleven bits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.letterbox import PAD_VALUE, Letterbox

LARGEST_SIDE = 8192
"""Largest side of an image for the device, in pixels; larger ones are scaled on the host."""


def fits_device(letterbox: Letterbox) -> bool:
    """Return whether an image is scaled on the device: it is not huge, and both sides shrink or grow."""
    pairs = list(zip(letterbox.content_hw, letterbox.source_hw, strict=True))
    same = all(content <= source for content, source in pairs) or all(
        content >= source for content, source in pairs
    )
    return same and max(letterbox.source_hw) <= LARGEST_SIDE


def place(image_rgb: Tensor, letterbox: Letterbox) -> Tensor:
    """Return the model input, uint8, (*input_hw, 3), of an image, uint8, (h, w, 3), on the device."""
    rows, columns = (
        torch.from_numpy(_weights(source, content)).to(image_rgb.device)
        for source, content in zip(letterbox.source_hw, letterbox.content_hw, strict=True)
    )
    height, width, channels = image_rgb.shape
    scaled = torch.matmul(rows, image_rgb.float().view(height, width * channels)).view(-1, width, channels)
    content = torch.matmul(columns, scaled).round_().clamp_(0, 255)
    shape = (*letterbox.input_hw, channels)
    whole = torch.full(shape, PAD_VALUE, dtype=torch.uint8, device=image_rgb.device)
    top, left = letterbox.offset_yx
    whole[top : top + len(content), left : left + content.shape[1]] = content.to(torch.uint8)
    return whole


@lru_cache(maxsize=64)
def _weights(source: int, content: int) -> Float32Array:
    """Return the weights of source pixels in each pixel of the content, float32, (content, source)."""
    scale = source / content
    weights = np.zeros((content, source))
    if content < source:
        edges = np.arange(content + 1) * scale
        cells = np.arange(source)
        starts, ends = edges[:-1, None], edges[1:, None]
        weights = (np.minimum(ends, cells + 1) - np.maximum(starts, cells)).clip(0) / scale
    else:
        places = ((np.arange(content) + 0.5) * scale - 0.5).clip(0, source - 1)
        first = np.floor(places).astype(int)
        second, part = np.minimum(first + 1, source - 1), places - first
        np.add.at(weights, (np.arange(content), first), 1 - part)
        np.add.at(weights, (np.arange(content), second), part)
    return weights.astype(np.float32)
