"""Engine for torch on the CPU, on CUDA or on Apple's GPU."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.engines.anchors import decode_learned
from medrov_cli.core.engines.device_letterbox import fits_device, place
from medrov_cli.core.engines.device_runner import DeviceRunner, Found, Images, open_runner
from medrov_cli.core.engines.device_selection import (
    DeviceSelection,
    group_of_learned,
    group_of_text,
)
from medrov_cli.core.engines.device_step import PairStep
from medrov_cli.core.engines.interface import EngineOpener, EngineRequest, SelectionRule
from medrov_cli.core.records.detections import Candidates, ClassCandidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.regions import RegionColumns, Regions, levels_of
from medrov_cli.core.settings.choices import Precision

MOST_RULES = 4
"""Largest number of rules whose steps are kept."""

_FORMATS = {Precision.FP32: torch.float32, Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}


class TorchEngine:
    """torch as an :class:`~medrov_cli.core.engines.interface.Engine` that selects on its device.

    The same operations run on every device. Selected logits and boxes are computed in float32.

    Parameters
    ----------
    network
        A module of images, float (b, 3, h, w), 0 to 1, and folded classes, that returns ``distances``
        (b, a, 64), ``hidden`` (b, a, c), ``best`` (b, a) and ``pooled`` (b, 2 * channels).
    text
        The classes.
    imgsz
        Side of the square model input, in pixels.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision
        Number format of the forward pass; ``auto``: float16 on a GPU, else float32.
    learned
        Classes beside those of ``text``.
    runner
        Execution on the device; null: that of the device.

    Raises
    ------
    MedrovError
        ``USAGE`` if the device does not exist, or does not compute in the format.
    """

    def __init__(
        self,
        network: nn.Module,
        text: FoldedText,
        imgsz: int,
        device: str,
        precision: Precision,
        learned: RegionColumns | None = None,
        runner: DeviceRunner | None = None,
    ) -> None:
        self._device = find_device(device)
        self._precision = format_on(self._device.type, precision)
        self._format = _FORMATS[self._precision]
        tail = "" if self._precision is Precision.FP32 else f"-{self._precision}"
        self.name = f"torch-{self._device.type}{tail}"
        self.imgsz = imgsz
        self.is_accelerator = self._device.type != "cpu"
        self.streams = 1
        if not self.is_accelerator:
            torch.set_num_threads(usable_cores())
        network = network.eval().requires_grad_(requires_grad=False).to(self._device, self._format)
        self._network = network.to(memory_format=torch.channels_last)
        self._runner = runner or open_runner(self._device)
        self.parallel_calls = self._runner.slots
        self._learned = learned
        own = group_of_text(text, self._device)
        self._kernels = tuple(self._cast(kernel) for kernel in own.kernels)
        self._constants = tuple(self._cast(array[None]) for array in own.constants)
        self._guides = tuple(self._cast(torch.from_numpy(array)) for array in text.guides)
        self._texts = DeviceSelection((own,), imgsz)
        self._steps: dict[int, tuple[SelectionRule, PairStep]] = {}
        self._lock = threading.Lock()
        self._levels = levels_of(imgsz)

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""

        def finish(parts: Any) -> list[Candidates]:
            found = []
            for row in range(len(parts.best)):
                own = parts.best[row], parts.hidden[row], parts.distances[row]
                boxes, scores = (values.cpu().numpy() for values in self._texts.dense(*own, floor))
                pooled = parts.pooled[row].cpu().numpy()
                found.append(Candidates(boxes, scores, pooled))
            if self._learned is None:
                return found
            learned = [
                decode_learned(regions, self._learned, own.pooled)
                for regions, own in zip(self._regions_of(parts), found, strict=True)
            ]
            if self._learned.alone:
                return learned
            return [own.beside(other) for own, other in zip(found, learned, strict=True)]

        return self._run(images_rgb, self._forward, finish)

    def regions(self, images_rgb: UInt8Array) -> list[Regions]:
        """Return boxes and region vectors, as in the interface."""
        return self._run(images_rgb, self._forward, self._regions_of)

    def select(self, images_rgb: UInt8Array | Sequence[Any], rule: SelectionRule) -> list[ClassCandidates]:
        """Return the candidates of each image by a rule, as in the interface."""
        step = self.step_of(rule)
        return self._run(images_rgb, step.forward, step.finish)

    def step_of(self, rule: SelectionRule) -> PairStep:
        """Return network and selection with the thresholds of a rule; the steps of few rules are kept."""
        with self._lock:
            known = self._steps.get(id(rule))
            if known is None:
                if len(self._steps) == MOST_RULES:
                    self._steps.clear()
                known = rule, self._new_step(rule)
                self._steps[id(rule)] = known  # with the rule, so that no other has its id
            return known[1]

    def place(self, image_rgb: UInt8Array, letterbox: Letterbox) -> Tensor | None:
        """Return the square of an image on the device, as in the interface."""
        if not fits_device(letterbox):
            return None
        with torch.inference_mode():
            return self._runner.prepare(image_rgb, lambda image: place(image, letterbox))

    def _new_step(self, rule: SelectionRule) -> PairStep:
        learned = self._learned
        own = () if learned is None else (group_of_learned(learned, self._device),)
        groups = own if learned is not None and learned.alone else (*self._texts.groups, *own)
        return PairStep(self.forward, groups, self.imgsz, rule, self._cast)

    def _regions_of(self, parts: Any) -> list[Regions]:
        anchors = torch.arange(parts.best.shape[1], device=self._device)
        boxes = self._texts.boxes(parts.distances, anchors.expand(len(parts.best), -1))
        pairs = zip(boxes.cpu().numpy(), parts.hidden.float().cpu().numpy(), strict=True)
        return [Regions(own, np.ascontiguousarray(vectors), self._levels) for own, vectors in pairs]

    def _forward(self, images: Tensor) -> Any:
        return self.forward(images, self._kernels, self._constants)

    def forward(self, images: Tensor, kernels: tuple[Tensor, ...], constants: tuple[Tensor, ...]) -> Any:
        """Return the outputs of the network for images, uint8, (b, h, w, 3), on the device."""
        # (b, h, w, 3) in memory is (b, 3, h, w) in the channels-last format: no copy is made.
        pixels = images.permute(0, 3, 1, 2).to(self._format).div_(255)
        return self._network(pixels, kernels, constants, self._guides)

    def _run(
        self, images_rgb: Images, step: Callable[[Tensor], Any], finish: Callable[[Any], list[Found]]
    ) -> list[Found]:
        with torch.inference_mode(), self._exact():
            return self._runner.run(images_rgb, step, finish)

    def _exact(self) -> contextlib.AbstractContextManager[object]:
        """Forbid TF32, whose mantissa has ten bits, where float32 was asked for."""
        if self._device.type != "cuda" or self._precision is not Precision.FP32:
            return contextlib.nullcontext()
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)

    def _cast(self, values: Tensor) -> Tensor:
        return values.to(self._device, self._format)


def find_device(text: str) -> torch.device:
    """Return the device of a name, after a check that it exists.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
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


def format_on(device: str, precision: Precision) -> Precision:
    """Return the number format on a type of device.

    Raises
    ------
    MedrovError
        ``USAGE`` if torch does not compute in it there.
    """
    if precision is Precision.AUTO:
        return Precision.FP32 if device == "cpu" else Precision.FP16
    if precision is Precision.FP16 and device == "cpu":
        raise usage_error("--precision fp16 is for GPUs: a CPU emulates it", "Use fp32 or bf16.")
    return precision


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def _absent(device: str, why: str) -> MedrovError:
    return usage_error(f"--device {device}: {why}", "Leave --device out.")


def open_torch(request: EngineRequest) -> TorchEngine:
    """Open the torch engine."""
    loaders, runtime = request.loaders, request.runtime
    network = loaders.network(request.weights)
    text = loaders.fold(request.weights, request.embeddings)
    return TorchEngine(network, text, request.imgsz, runtime.device, runtime.precision, request.learned)


OPENER: EngineOpener = open_torch
