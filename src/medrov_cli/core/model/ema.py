"""The exponential moving average of a model's weights: the model that is evaluated and kept."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)

DECAY = 0.999
"""Horizon of 1,000 steps. Ultralytics' 0.9999 is for runs of 100,000 steps and more."""

RAMP_STEPS = 500
"""The decay rises from 0 over some multiples of this, so that the first weights are forgotten."""


class MovingAverage(Generic[Model]):
    """Follow a model.

    Parameters
    ----------
    model
        The model, whose weights now are the first average.
    """

    def __init__(self, model: Model) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.steps = 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take in the model's present weights and statistics."""
        self.steps += 1
        decay = DECAY * (1 - math.exp(-self.steps / RAMP_STEPS))
        mine, theirs = self.model.state_dict(), model.state_dict()
        average: list[Tensor] = []
        current: list[Tensor] = []
        for name, value in mine.items():
            if value.is_floating_point():
                average.append(value)
                current.append(theirs[name].detach())
            else:
                value.copy_(theirs[name])
        torch._foreach_lerp_(average, current, 1 - decay)
