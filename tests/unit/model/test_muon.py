"""Orthogonalised steps: what they are, and for which weights."""

from __future__ import annotations

import math

import torch

from medrov_cli.core.config import OptimizerName
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.model.schedule import ScheduleConfig, make_optimizer

RATE, DECAY = 1e-3, 0.05


def moved(optimizer: OptimizerName, steps: int) -> tuple[Detector, dict[str, torch.Tensor]]:
    """Return a detector after some steps by gradients of its own, and how far it came."""
    torch.manual_seed(0)
    detector = Detector(Architecture("n", text_adapter=True)).to(memory_format=torch.channels_last)
    before = {name: own.detach().clone() for name, own in detector.named_parameters()}
    rule = make_optimizer(detector, ScheduleConfig(optimizer, RATE, DECAY))
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
