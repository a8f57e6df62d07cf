"""Orthogonalised steps: what they are, and for which weights."""

from __future__ import annotations

import math

import torch

from medrov_cli.core.model.learning.muon import Muon
from medrov_cli.core.model.learning.schedule import make_optimizer
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.settings.choices import OptimizerName
from medrov_cli.core.settings.train_groups import ScheduleSettings

RATE, DECAY = 1e-3, 0.05


def moved(optimizer: OptimizerName, steps: int) -> tuple[Detector, dict[str, torch.Tensor]]:
    """Return a detector after some steps by gradients of its own, and how far it came."""
    torch.manual_seed(0)
    detector = Detector(Architecture("n", text_adapter=True)).to(memory_format=torch.channels_last)
    before = {name: own.detach().clone() for name, own in detector.named_parameters()}
    rule = make_optimizer(detector, ScheduleSettings(optimizer, RATE, DECAY))
    for step in range(steps):
        torch.manual_seed(step)
        for own in detector.parameters():
            if own.requires_grad:
                own.grad = torch.randn(own.shape)
        rule.step()
    return detector, {name: own.detach() - before[name] for name, own in detector.named_parameters()}


def test_steps_of_hidden_convolutions_move_all_directions_alike_and_as_far_as_adamw() -> None:
    detector, steps = moved(OptimizerName.MUON, 1)
    orthogonal = [name for name in steps if name.endswith(".conv.weight") and not name.startswith("model.0.")]
    orthogonal = [name for name in orthogonal if "dfl" not in name]
    assert len(orthogonal) > 40
    for name in orthogonal:
        before = dict(detector.named_parameters())[name].detach() - steps[name]
        step = (steps[name] + RATE * DECAY * before).flatten(1)
        longer = max(step.shape)
        values = torch.linalg.svdvals(step) / (RATE * 0.2 * math.sqrt(longer))
        assert values.quantile(0.05) > 0.3, (
            name
        )  # random square matrices have directions of next to no length
        assert values.max() < 1.4, name


def test_all_other_weights_take_the_steps_of_adamw() -> None:
    _, by_muon = moved(OptimizerName.MUON, 3)
    _, by_adamw = moved(OptimizerName.ADAMW, 3)
    alike = {name for name in by_muon if torch.equal(by_muon[name], by_adamw[name])}
    others = {name for name in by_muon if not name.endswith(".conv.weight")} | {"model.0.conv.weight"}
    assert others | {"model.22.dfl.conv.weight"} == alike


def test_with_scaled_gradients_steps_are_the_same_and_infinite_ones_move_nothing() -> None:
    weights = []
    for scale in (1.0, 1024.0):
        layers = [torch.nn.Parameter(torch.ones(4, 3, 1, 1)), torch.nn.Parameter(torch.ones(4))]
        groups = [
            {"params": layers[:1], "weight_decay": 0.0, "orthogonal": True},
            {"params": layers[1:], "weight_decay": 0.0},
        ]
        rule = Muon(groups, lr=0.1, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        scaler.scale(torch.ones(()))  # it makes its scale when it is first used
        for gradient in (1.0, math.inf):
            torch.manual_seed(1)
            for own in layers:
                own.grad = torch.randn(own.shape) * gradient * scale
            scaler.step(rule)
            scaler.update(scale)
            weights.append([own.detach().clone() for own in layers])
    for one, other in zip(weights[0], weights[2], strict=True):
        torch.testing.assert_close(one, other)
        assert not torch.equal(one, torch.ones_like(one))
    for before, after in (weights[:2], weights[2:]):
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
