"""The tensors of a network without torch equal its state dict."""

from __future__ import annotations

import pytest
import torch

from medrov_cli.core.model.checkpoint import build_detector
from medrov_cli.core.model.scales import SCALES, tensor_shapes
from medrov_cli.core.weights.metadata import ArchitectureInfo


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("text_adapter", "background"), [(False, False), (True, False), (True, True)])
def test_shapes_without_torch_equal_the_state_dict(scale: str, text_adapter: bool, background: bool) -> None:
    info = ArchitectureInfo(scale, text_adapter, background)
    with torch.device("meta"):
        network = build_detector(info)
    assert tensor_shapes(info) == {name: tuple(value.shape) for name, value in network.state_dict().items()}
