"""Protocol of an inference engine, and the settings from which one is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.detections import Candidates, ClassCandidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.regions import RegionColumns, Regions
from medrov_cli.core.settings.groups import RuntimeSettings

Inputs = UInt8Array | Sequence[UInt8Array]
"""Inputs of a batch: uint8 (batch, height, width, 3), or a list of arrays of different shapes."""

MOST_SIZES = 5
"""Largest number of sizes of inputs whose models an engine keeps: each has its own memory."""

ANCHORS_PER_PIXEL = 1 / 64 + 1 / 256 + 1 / 1024
"""Anchors per pixel of the three levels with strides 8, 16 and 32."""


@dataclass(frozen=True, slots=True)
class Loaders:
    """Functions that build a network from a weights file; an engine calls those that it needs.

    Attributes
    ----------
    network
        Function of the file to the torch network with folded classes as inputs.
    graph
        Function of the file and the size of the model input to an ONNX model of one image: uint8 (1, height,
        width, 3), folded classes as inputs, parts as outputs (:mod:`medrov_cli.core.engines.anchors`).
    quantised
        Function of the file, the size, the ranges and the bits of kernels (7 or 8) to the same model in int8,
        for OpenVINO.
    fold
        Function of the file and class embeddings to folded classes.
    version
        Version of the graphs of ``graph``.
    quantised_version
        Version of the graphs of ``quantised``, beside that of ``graph``.
    """

    network: Callable[[Path], Any]
    graph: Callable[[Path, tuple[int, int]], bytes]
    quantised: Callable[[Path, tuple[int, int], Mapping[str, tuple[float, float]], int], bytes]
    fold: Callable[[Path, Float32Array], FoldedText]
    version: int
    quantised_version: int


class Engine(Protocol):
    """A detector whose classes are fixed.

    Attributes
    ----------
    name
        The engine and its device, for example ``openvino-cpu``; part of every record.
    imgsz
        Longest side of the model input, in pixels; the input is a square, or any rectangle if the engine was
        opened with ``rectangles``.
    is_accelerator
        Whether the device is more efficient with several images per pass.
    streams
        Number of images that are computed in parallel; with more than one, two threads may call ``infer``.
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
            uint8, (batch, height, width, 3); an engine opened with ``rectangles`` takes `Inputs`.
        floor
            Anchors with a lower best score are left out; 0: none are left out.
        """


class RegionEngine(Engine, Protocol):
    """An engine of a weights file, which also returns region vectors."""

    def regions(self, images_rgb: UInt8Array) -> list[Regions]:
        """Return boxes and region vectors at all anchors of each image, uint8, (batch, imgsz, imgsz, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class SelectionRule:
    """Thresholds and suppression that an engine applies before anything reaches the host.

    Attributes
    ----------
    thresholds
        float64, (classes,): lowest score of each class.
    iou
        IoU above which the pair with the lower score of two pairs of a class is removed.
    """

    thresholds: FloatArray
    iou: float


@runtime_checkable
class SelectingEngine(Protocol):
    """An engine that selects on its device.

    Attributes
    ----------
    parallel_calls
        Number of threads that may call ``select`` at a time: while one batch is computed, the next is copied.
    imgsz, is_accelerator
        See :class:`Engine`.
    """

    imgsz: int
    is_accelerator: bool
    parallel_calls: int

    def place(self, image_rgb: UInt8Array, letterbox: Letterbox) -> Any:
        """Return the square of an image as a tensor on the device; null if it is scaled on the host."""

    def select(self, images_rgb: UInt8Array | Sequence[Any], rule: SelectionRule) -> list[ClassCandidates]:
        """Return the candidates of each image, uint8, (batch, imgsz, imgsz, 3), by a rule.

        ``images_rgb`` is an array, or a list of squares on the host or of :meth:`place`.
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
    runtime
        Device, engine and number format of the forward pass.
    streams
        Images in parallel, for engines that support it: 1 for one image, the number of cores for many.
    learned
        Learned classes, whose columns follow those of ``embeddings``; null: none.
    """

    weights: Path
    embeddings: Float32Array
    imgsz: int
    loaders: Loaders
    runtime: RuntimeSettings
    streams: int
    learned: RegionColumns | None = None


EngineOpener = Callable[[EngineRequest], RegionEngine]
"""Function that opens an engine. It raises `MedrovError`: ``USAGE`` for a missing device or an unsupported
number format, ``WEIGHTS_CORRUPT``."""


def score_bytes(imgsz: int, classes: int) -> int:
    """Return the size of the scores of one image, float32, in bytes."""
    return round(imgsz * imgsz * ANCHORS_PER_PIXEL) * classes * 4
