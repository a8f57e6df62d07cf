"""Learning rate and weight decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

from medrov_cli.core.model.ema import DECAY


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """AdamW with warm-up and cosine.

    Attributes
    ----------
    learning_rate
        Peak. The paper fine-tunes at 2e-4 with batch 128; from scratch with batch 16 a nano
        model wants more.
    weight_decay
        On matrices only, not on biases and norms. The paper: 0.05.
    warmup_steps
        Linear rise from 0; at most a fifth of the run.
    final_share
        The cosine ends at this share of the peak.
    average_decay
        Of the weights' moving average, a step; see :class:`~medrov_cli.core.model.ema.MovingAverage`.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    final_share: float = 0.01
    average_decay: float = DECAY


def learning_rate(config: ScheduleConfig, step: int, steps: int) -> float:
    """Return the rate of a 0-based step out of ``steps``."""
    warmup = min(config.warmup_steps, steps // 5)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    share = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return config.learning_rate * (config.final_share + (1 - config.final_share) * share)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return optimizer groups: matrices decay, everything else does not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
