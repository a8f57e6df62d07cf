"""Learning rate and weight decay."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from medrov_cli.core.model.learning.muon import Muon
from medrov_cli.core.settings.choices import OptimizerName
from medrov_cli.core.settings.train_groups import ScheduleConfig


def learning_rate(config: ScheduleConfig, step: int, steps: int) -> float:
    """Return the rate of a 0-based step out of ``steps``."""
    warmup = min(config.warmup_steps, steps // 5)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    share = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return config.learning_rate * (config.final_share + (1 - config.final_share) * share)


def make_optimizer(model: nn.Module, config: ScheduleConfig) -> torch.optim.Optimizer:
    """Return the optimizer of a model's trainable weights; weight decay applies to matrices only.

    Muon orthogonalises the steps of hidden convolutions. The first layer, the last layers of the head and the
    text layers use AdamW, as recommended by its authors.
    """
    trained = [(name, own) for name, own in model.named_parameters() if own.requires_grad]
    hidden: dict[str, nn.Parameter] = {}
    if config.optimizer is OptimizerName.MUON:
        hidden = {
            name: own
            for name, own in trained
            if name.endswith(".conv.weight") and not name.startswith("model.0.")
        }
    matrices = [own for name, own in trained if own.ndim > 1 and name not in hidden]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": [own for _, own in trained if own.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer is OptimizerName.ADAMW:
        return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    orthogonal = {"params": list(hidden.values()), "weight_decay": config.weight_decay, "orthogonal": True}
    return Muon([orthogonal, *groups], lr=config.learning_rate, fused=True)
