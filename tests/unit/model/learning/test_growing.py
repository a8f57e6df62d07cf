"""Wider networks of trained ones: the same answers, and copies that part."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medrov_cli.core.model.learning.growing import can_grow, grow
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.model.scales import SCALES
from tolerances import SCORE_ATOL


def trained(scale: str) -> Detector:
    """Return a detector whose every number is its own, as after a training."""
    torch.manual_seed(5)
    detector = Detector(Architecture(scale, text_adapter=True, background=True))
    with torch.no_grad():
        for name, value in detector.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.is_floating_point() and "dfl" not in name:
                value.add_(0.02 * torch.randn_like(value))
    return detector


@pytest.mark.parametrize(("scale", "wider"), [("n", "s"), ("l", "x")])
@pytest.mark.parametrize("training", [False, True], ids=["statistics kept", "statistics of the batch"])
def test_the_wider_network_answers_the_same(scale: str, wider: str, training: bool) -> None:
    small = trained(scale)
    large = Detector(Architecture(wider, text_adapter=True, background=True))
    grow(small, large, torch.Generator().manual_seed(1))
    images, text = torch.rand(2, 3, 96, 64), torch.randn(2, 5, 512)
    with torch.no_grad():
        answers = [net.train(training)(images, text) for net in (small, large)]
    for first, second in zip(answers[0][:2], answers[1][:2], strict=True):
        assert first.std() > 1e-3
        torch.testing.assert_close(second, first, rtol=1e-3, atol=SCORE_ATOL)


def test_no_two_copies_are_moved_alike() -> None:
    large = Detector(Architecture("s", text_adapter=True))
    grow(trained("n"), large, torch.Generator().manual_seed(0))
    raw = large(torch.rand(2, 3, 64, 64), torch.randn(2, 4, 512))
    (raw.logits.square().mean() + raw.distances.square().mean()).backward()
    layer = large.model["4"].cv1.bn  # type: ignore[union-attr]
    assert isinstance(layer, nn.BatchNorm2d)
    half = len(layer.weight) // 4
    torch.testing.assert_close(layer.weight[:half], layer.weight[half : 2 * half])
    gradient = layer.weight.grad
    assert gradient is not None
    assert ((gradient[:half] - gradient[half : 2 * half]).abs() > 1e-12).all()


def test_only_equally_deep_networks_grow() -> None:
    pairs = {(small, large) for small in SCALES for large in SCALES if can_grow(small, large)}
    assert pairs == {("n", "s"), ("l", "x")}
    with pytest.raises(ValueError, match="n cannot grow to m"):
        grow(Detector(Architecture("n")), Detector(Architecture("m")), torch.Generator())
