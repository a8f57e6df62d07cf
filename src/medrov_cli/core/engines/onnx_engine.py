"""Engine for ONNX Runtime on the CPU, where OpenVINO is not available; nearly as fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.anchors import decode_anchors, regions_of
from medrov_cli.core.engines.interface import EngineOpener, EngineRequest
from medrov_cli.core.engines.onnxruntime_import import load_onnxruntime
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.regions import RegionColumns, Regions


class OnnxEngine:
    """ONNX Runtime as an :class:`~medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    graph
        An ONNX model: images uint8 (1, imgsz, imgsz, 3), folded classes, parts as outputs.
    text
        The classes.
    imgsz
        Side of the square model input, in pixels.
    learned
        Classes beside those of ``text``.
    """

    is_accelerator = False
    name = "onnxruntime-cpu"
    streams = 1

    def __init__(
        self, graph: bytes, text: FoldedText, imgsz: int, learned: RegionColumns | None = None
    ) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.imgsz = imgsz
        self._text = text
        self._learned = learned
        self._inputs: dict[str, Any] = dict(text.inputs())
        self._outputs = [output.name for output in self._session.get_outputs()]

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        size = (self.imgsz, self.imgsz)
        return [
            decode_anchors(parts, self._text, floor, size, self._learned) for parts in self._run(images_rgb)
        ]

    def regions(self, images_rgb: UInt8Array) -> list[Regions]:
        """Return boxes and region vectors, as in the interface."""
        return [regions_of(parts, (self.imgsz, self.imgsz)) for parts in self._run(images_rgb)]

    def _run(self, images_rgb: UInt8Array) -> Iterator[dict[str, Float32Array]]:
        for image in np.ascontiguousarray(images_rgb):
            values = self._session.run(self._outputs, {"images": image[None], **self._inputs})
            yield {name: value[0] for name, value in zip(self._outputs, values, strict=True)}


def open_onnx(request: EngineRequest) -> OnnxEngine:
    """Open the ONNX Runtime engine."""
    text = request.loaders.fold(request.weights, request.embeddings)
    graph = request.loaders.graph(request.weights, request.imgsz)
    return OnnxEngine(graph, text, request.imgsz, request.learned)


OPENER: EngineOpener = open_onnx
