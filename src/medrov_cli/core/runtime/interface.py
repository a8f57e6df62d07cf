"""What an inference engine is, and the one door through which engines are opened."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from medrov_cli.core.config import GRID, MAX_IMGSZ, TEXT_WIDTH
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.records import Candidates, Float32Array, FoldedText, UInt8Array

ANCHORS_PER_PIXEL = 1 / 64 + 1 / 256 + 1 / 1024
"""Of the three levels with strides 8, 16 and 32."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class EngineName(StrEnum):
    """The engines that can be opened; ``auto`` takes the fastest that was measured and is there."""

    AUTO = "auto"
    TORCH = "torch"
    ONNX = "onnx"
    OPENVINO = "openvino"


class Precision(StrEnum):
    """Number format of the forward pass."""

    FP32 = "fp32"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True)
class Loaders:
    """How a weights file becomes a network; an engine calls only what it needs.

    Attributes
    ----------
    network
        From the file to the torch network.
    graph
        From the file and the side of the model input to an ONNX model of one image: uint8 (1, imgsz,
        imgsz, 3), folded classes as inputs, parts as outputs (:mod:`medrov_cli.core.runtime.parts`).
    fold
        From the file and class embeddings to folded classes.
    version
        Of what ``graph`` makes: another one is another graph.
    """

    network: Callable[[Path], Any]
    graph: Callable[[Path, int], bytes]
    fold: Callable[[Path, Float32Array], FoldedText]
    version: int


class Engine(Protocol):
    """A detector whose classes are fixed.

    Attributes
    ----------
    name
        The engine and the device it runs on, ``openvino-cpu``; part of every record.
    imgsz
        Side of the square model input, in pixels.
    is_accelerator
        Whether it runs on a device that works better on several images at once.
    streams
        Images that it has under way at the same time.
    """

    name: str
    imgsz: int
    is_accelerator: bool
    streams: int

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return what is found in each image, before suppression.

        Parameters
        ----------
        images_rgb
            uint8, (batch, imgsz, imgsz, 3).
        floor
            Anchors whose best score is lower are left out; 0: none is.
        """


def open_engine(
    weights: Path,
    embeddings: Float32Array,
    *,
    imgsz: int,
    loaders: Loaders,
    device: str = "auto",
    engine: EngineName = EngineName.AUTO,
    precision: Precision = Precision.FP32,
    streams: int = 1,
) -> Engine:
    """Load weights into an engine, for a fixed set of classes.

    Parameters
    ----------
    weights
        A weights file.
    embeddings
        Class embeddings, float32, (classes, 512), L2 norm 1.
    imgsz
        Side of the square model input, in pixels.
    loaders
        Make the network; the engines do not know how.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    engine, precision
        Which engine, in which number format.
    streams
        Images side by side, for an engine that can: 1 is best for one image, the number of cores for many.

    Raises
    ------
    MedrovError
        ``USAGE`` for a bad or absent device, a bad size, an engine that the device or the format does not go
        with; ``DEPENDENCY_MISSING``; ``WEIGHTS_CORRUPT``.
    """
    check_imgsz(imgsz)
    check_device(device)
    if embeddings.ndim != 2 or embeddings.shape[1] != TEXT_WIDTH or not len(embeddings):
        raise ValueError(f"class embeddings are (classes, {TEXT_WIDTH}), not {embeddings.shape}")
    chosen = choose_engine(engine, device, precision)
    if chosen is EngineName.TORCH:
        from medrov_cli.core.runtime.torch_engine import TorchEngine

        return TorchEngine(loaders.network(weights), embeddings, imgsz, device, precision)
    text = loaders.fold(weights, embeddings)
    if chosen is EngineName.ONNX:
        from medrov_cli.core.runtime.onnx_engine import OnnxEngine

        return OnnxEngine(loaders.graph(weights, imgsz), text, imgsz)
    from medrov_cli.core.runtime.openvino_engine import OpenVinoEngine
    from medrov_cli.core.weights import sha256_of

    key = f"{sha256_of(weights)} {imgsz} {loaders.version}"
    return OpenVinoEngine(lambda: loaders.graph(weights, imgsz), key, text, imgsz, precision, streams)


def choose_engine(engine: EngineName, device: str, precision: Precision) -> EngineName:
    """Return the engine to open: the one asked for, or the fastest that is here (docs/performance.md).

    Raises
    ------
    MedrovError
        ``USAGE``, ``DEPENDENCY_MISSING``.
    """
    if engine is EngineName.AUTO:
        if device == "auto":
            device = "gpu" if _sees_gpu() else "cpu"
        if device != "cpu":
            return EngineName.TORCH
        found = [name for name in (EngineName.OPENVINO, EngineName.ONNX) if _is_installed(name)]
        usable = [name for name in found if name is EngineName.OPENVINO or precision is Precision.FP32]
        return usable[0] if usable else EngineName.TORCH
    if engine is EngineName.TORCH:
        return engine
    if device not in ("auto", "cpu"):
        raise MedrovError(
            ErrorCode.USAGE,
            f"--engine {engine} runs on the CPU alone, not on --device {device}",
            "Use --engine torch, or leave --device out.",
        )
    if engine is EngineName.ONNX and precision is not Precision.FP32:
        raise MedrovError(
            ErrorCode.USAGE,
            f"--engine onnx does not compute in {precision} on a CPU",
            "Use --engine openvino or torch.",
        )
    if not _is_installed(engine):
        raise MedrovError(
            ErrorCode.DEPENDENCY_MISSING,
            f"--engine {engine}: {_MODULES[engine]} is not installed",
            f"Run: pip install {_MODULES[engine]}",
        )
    return engine


_MODULES = {EngineName.ONNX: "onnxruntime", EngineName.OPENVINO: "openvino"}


def _is_installed(engine: EngineName) -> bool:
    return importlib.util.find_spec(_MODULES[engine]) is not None


def _sees_gpu() -> bool:
    """Tell whether the machine shows a GPU that torch may use; torch itself takes seconds to ask."""
    import platform

    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() or platform.system() == "Windows"


def check_imgsz(imgsz: int) -> None:
    """Refuse a size that the network cannot take.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if imgsz % GRID or not GRID <= imgsz <= MAX_IMGSZ:
        raise MedrovError(
            ErrorCode.USAGE,
            f"--imgsz {imgsz} is not a multiple of {GRID} from {GRID} to {MAX_IMGSZ}",
            f"The nearest is {min(max(round(imgsz / GRID) * GRID, GRID), MAX_IMGSZ)}.",
        )


def check_device(device: str) -> None:
    """Refuse a text that names no device; whether the device is there is seen on opening.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    if not _DEVICE.fullmatch(device):
        raise MedrovError(
            ErrorCode.USAGE, f"--device {device!r} is not a device", "Give auto, cpu, cuda, cuda:N or mps."
        )


def score_bytes(imgsz: int, classes: int) -> int:
    """Return the size of one image's scores, float32, in bytes."""
    return round(imgsz * imgsz * ANCHORS_PER_PIXEL) * classes * 4
