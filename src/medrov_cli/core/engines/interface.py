"""Protocol of an inference engine, and the settings from which one is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.choices import Precision

ANCHORS_PER_PIXEL = 1 / 64 + 1 / 256 + 1 / 1024
"""Anchors per pixel of the three levels with strides 8, 16 and 32."""


@dataclass(frozen=True, slots=True)
class Loaders:
    """Functions that build a network from a weights file; an engine calls those that it needs.

    Attributes
    ----------
    network
        Function of the file to the torch network.
    graph
        Function of the file and the side of the model input to an ONNX model of one image: uint8 (1, imgsz,
        imgsz, 3), folded classes as inputs, parts as outputs (:mod:`medrov_cli.core.engines.anchors`).
    fold
        Function of the file and class embeddings to folded classes.
    version
        Version of the graphs of ``graph``.
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
        The engine and its device, for example ``openvino-cpu``; part of every record.
    imgsz
        Side of the square model input, in pixels.
    is_accelerator
        Whether the device is more efficient with several images per pass.
    streams
        Number of images that are computed in parallel.
    """

    name: str
    imgsz: int
    is_accelerator: bool
    streams: int

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, before suppression.

        Parameters
        ----------
        images_rgb
            uint8, (batch, imgsz, imgsz, 3).
        floor
            Anchors with a lower best score are left out; 0: none are left out.
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
        Functions that build the network from the file.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision
        Number format of the forward pass.
    streams
        Number of images that are computed in parallel, for engines that support it.
    """

    weights: Path
    embeddings: Float32Array
    imgsz: int
    loaders: Loaders
    device: str
    precision: Precision
    streams: int


EngineOpener = Callable[[EngineRequest], Engine]
"""Function that opens an engine. It raises `MedrovError`: ``USAGE`` for a missing device or an unsupported
number format, ``WEIGHTS_CORRUPT``."""


def score_bytes(imgsz: int, classes: int) -> int:
    """Return the size of the scores of one image, float32, in bytes."""
    return round(imgsz * imgsz * ANCHORS_PER_PIXEL) * classes * 4
