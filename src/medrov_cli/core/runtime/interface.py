"""Protocol of an inference engine, and the settings from which one is opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from medrov_cli.core.config import GRID, MAX_IMGSZ
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


@dataclass(frozen=True, slots=True, eq=False)
class EngineRequest:
    """Settings from which an engine is opened.

    Attributes
    ----------
    weights
        A weights file.
    embeddings
        Class embeddings, float32, (classes, 512), L2 norm 1.
    imgsz
        Side of the square model input, in pixels.
    loaders
        Make the network from the file.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision
        Number format of the forward pass.
    streams
        Number of images that are computed side by side, for an engine that can.
    """

    weights: Path
    embeddings: Float32Array
    imgsz: int
    loaders: Loaders
    device: str
    precision: Precision
    streams: int


EngineOpener = Callable[[EngineRequest], Engine]
"""Opens an engine. Raises `MedrovError`: ``USAGE`` for an absent device or a number format that the engine
does not compute in, ``WEIGHTS_CORRUPT``."""


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
