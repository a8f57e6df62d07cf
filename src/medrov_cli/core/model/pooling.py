"""Pooled features of the backbone, from which the kind of an image is classified."""

from __future__ import annotations

import torch
from torch import Tensor


def pool(stages: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return the pooled features of the backbone, float32, (batch, 2 * channels).

    They are the mean of each channel over all cells, stage by stage, then the mean of its squares.
    """
    values = [stage.float() for stage in stages]
    means = [x.mean((2, 3)) for x in values]
    return torch.cat(means + [(x * x).mean((2, 3)) for x in values], 1)
