"""Engine for torch on the CPU, on CUDA or on Apple's GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.engines.anchors import keep_above
from medrov_cli.core.engines.interface import EngineOpener, EngineRequest
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.choices import Precision

_Detect = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class TorchEngine:
    """torch as an :class:`~medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    network
        A module with ``detect(images, text)``: float32 images (b, 3, h, w), 0 to 1, and class
        embeddings (classes, 512), to boxes (b, a, 4) in model pixels and scores (b, a, classes).
    embeddings
        float32, (classes, 512), L2 norm 1.
    imgsz
        Side of the square model input, in pixels.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision
        Number format of the forward pass.

    Raises
    ------
    MedrovError
        ``USAGE`` if the device does not exist.
    """

    def __init__(
        self, network: nn.Module, embeddings: Float32Array, imgsz: int, device: str, precision: Precision
    ) -> None:
        self._device = _device(device)
        self._precision = precision
        self.name = f"torch-{self._device.type}" + ("" if precision is Precision.FP32 else f"-{precision}")
        self.imgsz = imgsz
        self.is_accelerator = self._device.type != "cpu"
        self.streams = 1
        if not self.is_accelerator:
            torch.set_num_threads(usable_cores())
        network = network.eval().requires_grad_(False).to(self._device)
        network = network.to(memory_format=torch.channels_last)
        self._detect = cast(_Detect, network.detect)
        self._text = torch.from_numpy(embeddings).to(self._device)

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        with torch.inference_mode(), self._autocast():
            pixels = torch.from_numpy(np.ascontiguousarray(images_rgb)).to(self._device)
            # (b, h, w, 3) in memory is (b, 3, h, w) in the channels-last format: no copy is made.
            images = pixels.permute(0, 3, 1, 2).float().div_(255)
            boxes, scores = self._detect(images, self._text)
            every_box, every_score = boxes.float().cpu().numpy(), scores.float().cpu().numpy()
        return [keep_above(box, score, floor) for box, score in zip(every_box, every_score, strict=True)]

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self._precision is Precision.FP32:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)


def _device(text: str) -> torch.device:
    """Return the device of a name, after a check that it exists."""
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
    device = torch.device(text)
    if device.type == "mps" and not _has_mps():
        raise _absent(text, "this machine or this build of torch has no Apple GPU")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise _absent(text, "this machine or this build of torch has no CUDA device")
        if (device.index or 0) >= count:
            raise _absent(text, f"this machine has {count} CUDA device(s), counted from 0")
    return device


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def _absent(device: str, why: str) -> MedrovError:
    return usage_error(f"--device {device}: {why}", "Leave --device out.")


def open_torch(request: EngineRequest) -> TorchEngine:
    """Open the torch engine."""
    network = request.loaders.network(request.weights)
    return TorchEngine(network, request.embeddings, request.imgsz, request.device, request.precision)


OPENER: EngineOpener = open_torch
