"""Torch network with its classes as one module, for TorchScript, torch.export and Core ML."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medrov_cli.core.engines.anchors import keep_above
from medrov_cli.core.exporting.request import ExportRequest
from medrov_cli.core.model.loading import load_network
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array


class _Folded(nn.Module):
    """Network from images, float32, (b, 3, h, w), 0 to 1, to boxes and scores, with constant classes.

    With ``pools``, the third output are the pooled features of the image.
    """

    text: Tensor

    def __init__(self, network: Any, text: Tensor, *, pools: bool) -> None:
        super().__init__()
        self.pools = pools
        self.network = network
        self.register_buffer("text", text)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(_detect(self.network, images, self.text, pools=self.pools))


class _Open(nn.Module):
    """Network with class embeddings, float32, (classes, 512), L2 norm 1, as second input."""

    def __init__(self, network: Any, *, pools: bool) -> None:
        super().__init__()
        self.pools = pools
        self.network = network

    def forward(self, images: Tensor, embeddings: Tensor) -> tuple[Tensor, ...]:
        return tuple(_detect(self.network, images, embeddings, pools=self.pools))


def _detect(network: Any, images: Tensor, text: Tensor, *, pools: bool) -> Any:
    return network.detect_and_pool(images, text) if pools else network.detect(images, text)


def module_and_inputs(request: ExportRequest) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return the network with its classes in evaluation mode, and inputs of a batch of two images."""
    network = load_network(request.path).eval().requires_grad_(False)
    text = torch.from_numpy(request.classes.embeddings)
    images = torch.zeros(2, 3, request.imgsz, request.imgsz)
    pools = request.kinds is not None
    module = _Open(network, pools=pools) if request.config.is_open else _Folded(network, text, pools=pools)
    return module.eval(), (images, text) if request.config.is_open else (images,)


def traced(request: ExportRequest) -> Any:
    """Return the network as a frozen TorchScript module for one image size and any batch size."""
    module, inputs = module_and_inputs(request)
    with torch.inference_mode():
        jit: Any = torch.jit
        return jit.freeze(jit.trace(module, inputs, check_trace=False))


class TracedEngine:
    """Module of torch as an :class:`~medrov_cli.core.engines.interface.Engine`, for comparisons only."""

    is_accelerator = False
    streams = 1

    def __init__(self, module: Any, embeddings: Float32Array | None, imgsz: int, name: str) -> None:
        self.name = name
        self._module = module
        self._more = () if embeddings is None else (torch.from_numpy(embeddings),)
        self.imgsz = imgsz

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        pixels = torch.from_numpy(np.ascontiguousarray(images_rgb)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            outputs = [output.numpy() for output in self._module(pixels, *self._more)]
        return [
            keep_above(boxes, scores, floor, *pooled) for boxes, scores, *pooled in zip(*outputs, strict=True)
        ]
