"""Exponential moving average of a model's weights, which is evaluated and saved.

It is written by hand because torch's ``AveragedModel`` copies the weights at its first update. This class
averages from the first step on, with a decay that rises over the first steps.
"""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from medrov_cli.core.settings.train_groups import DECAY

Model = TypeVar("Model", bound=nn.Module)


RAMP_STEPS = 500
"""Time constant, in steps, of the rise of the decay from 0, which removes the first weights."""


class MovingAverage(Generic[Model]):
    """Moving average of a model.

    Parameters
    ----------
    model
        The model; its current weights are the first average.
    decay
        Weight of the previous average in a step; 0: no averaging.
    """

    def __init__(self, model: Model, decay: float = DECAY) -> None:
        self._decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.steps = 0
        self._followed: Model | None = None
        self._average: list[Tensor] = []
        self._current: list[Tensor] = []
        self._counters: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Update the average with the model's current weights and statistics."""
        if model is not self._followed:
            self._follow(model)
        self.steps += 1
        decay = self._decay * (1 - math.exp(-self.steps / RAMP_STEPS))
        torch._foreach_lerp_(self._average, self._current, 1 - decay)
        for mine, theirs in self._counters:
            mine.copy_(theirs)

    def _follow(self, model: Model) -> None:
        """Collect the tensors of a model once; their identity does not change in training."""
        self._followed = model
        self._average, self._current, self._counters = [], [], []
        theirs = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self._average.append(value)
                self._current.append(theirs[name].detach())
            else:
                self._counters.append((value, theirs[name]))
