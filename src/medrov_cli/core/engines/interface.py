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
"""Of the three levels with strides 8, 16 and 32."""


@dataclass(frozen=True, slots=True)
class Loaders:
    """How a weights file becomes a network; an engine calls only what it needs.

    Attributes
    ----------
    network
        From the file to the torch network.
    graph
        From the file and the side of the model input to an ONNX model of one image: uint8 (1, imgsz,
        imgsz, 3), folded classes as inputs, parts as outputs (:mod:`medrov_cli.core.engines.anchors`).
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


def score_bytes(imgsz: int, classes: int) -> int:
    """Return the size of one image's scores, float32, in bytes."""
    return round(imgsz * imgsz * ANCHORS_PER_PIXEL) * classes * 4
