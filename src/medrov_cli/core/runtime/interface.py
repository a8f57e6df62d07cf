"""What an inference engine is, and the one door through which engines are opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, assert_never

from medrov_cli.core.config import GRID, MAX_IMGSZ, TEXT_WIDTH
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.records import Float32Array, UInt8Array

ANCHORS_PER_PIXEL = 1 / 64 + 1 / 256 + 1 / 1024
"""Of the three levels with strides 8, 16 and 32."""

NetworkLoader = Callable[[Path], Any]
"""Makes the torch network of a weights file; only an engine that runs that network calls it."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class EngineName(StrEnum):
    """The engines that can be opened."""

    TORCH = "torch"


class Precision(StrEnum):
    """Number format of the forward pass."""

    FP32 = "fp32"
    BF16 = "bf16"


class Engine(Protocol):
    """A detector whose classes are fixed.

    Attributes
    ----------
    name
        The engine and the device it runs on, ``torch-cpu``; part of every record.
    imgsz
        Side of the square model input, in pixels.
    is_accelerator
        Whether it runs on a device that works better on several images at once.
    """

    name: str
    imgsz: int
    is_accelerator: bool

    def infer(self, images_rgb: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Return boxes and scores at every anchor.

        Parameters
        ----------
        images_rgb
            uint8, (batch, imgsz, imgsz, 3).

        Returns
        -------
        boxes_xyxy
            float32, (batch, anchors, 4), in model pixels.
        scores
            float32, (batch, anchors, classes), 0 to 1.
        """


def open_engine(
    weights: Path,
    embeddings: Float32Array,
    *,
    imgsz: int,
    load_network: NetworkLoader,
    device: str = "auto",
    engine: EngineName = EngineName.TORCH,
    precision: Precision = Precision.FP32,
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
    load_network
        Makes the network; the engines do not know how.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    engine, precision
        Which engine, in which number format.

    Raises
    ------
    MedrovError
        ``USAGE`` for a bad or absent device or a bad size; ``WEIGHTS_CORRUPT``.
    """
    check_imgsz(imgsz)
    check_device(device)
    if embeddings.ndim != 2 or embeddings.shape[1] != TEXT_WIDTH or not len(embeddings):
        raise ValueError(f"class embeddings are (classes, {TEXT_WIDTH}), not {embeddings.shape}")
    if engine is EngineName.TORCH:
        from medrov_cli.core.runtime.torch_engine import TorchEngine

        return TorchEngine(load_network(weights), embeddings, imgsz, device, precision)
    assert_never(engine)


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
