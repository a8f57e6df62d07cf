"""The exponential moving average of a model's weights: the model that is evaluated and kept."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


RAMP_STEPS = 500
"""The decay rises from 0 over some multiples of this, so that the first weights are forgotten."""


class MovingAverage(Generic[Model]):
    """Follow a model.

    Parameters
    ----------
    model
        The model, whose weights now are the first average.
    decay
        What a step leaves of the average; 0 follows the weights at once.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self._decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.steps = 0
        self._followed: Model | None = None
        self._average: list[Tensor] = []
        self._current: list[Tensor] = []
        self._counters: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take in the model's present weights and statistics."""
        if model is not self._followed:
            self._follow(model)
        self.steps += 1
        decay = self._decay * (1 - math.exp(-self.steps / RAMP_STEPS))
        torch._foreach_lerp_(self._average, self._current, 1 - decay)
        for mine, theirs in self._counters:
            mine.copy_(theirs)

    def _follow(self, model: Model) -> None:
        """Find the tensors of a model once: they stay the same ones, whatever their values."""
        self._followed = model
        self._average, self._current, self._counters = [], [], []
        theirs = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self._average.append(value)
                self._current.append(theirs[name].detach())
            else:
                self._counters.append((value, theirs[name]))
