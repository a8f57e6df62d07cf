"""Engine for ONNX Runtime on the CPU, where OpenVINO is not available; nearly as fast."""

from __future__ import annotations

from typing import Any

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.anchors import decode_anchors
from medrov_cli.core.engines.interface import EngineOpener, EngineRequest
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import UInt8Array


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
    """

    is_accelerator = False
    name = "onnxruntime-cpu"
    streams = 1

    def __init__(self, graph: bytes, text: FoldedText, imgsz: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.imgsz = imgsz
        self._text = text
        self._inputs: dict[str, Any] = dict(text.inputs())
        self._outputs = [output.name for output in self._session.get_outputs()]

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        found = []
        for image in np.ascontiguousarray(images_rgb):
            values = self._session.run(self._outputs, {"images": image[None], **self._inputs})
            parts = {name: value[0] for name, value in zip(self._outputs, values, strict=True)}
            found.append(decode_anchors(parts, self._text, floor, (self.imgsz, self.imgsz)))
        return found


def open_onnx(request: EngineRequest) -> OnnxEngine:
    """Open the ONNX Runtime engine."""
    text = request.loaders.fold(request.weights, request.embeddings)
    return OnnxEngine(request.loaders.graph(request.weights, request.imgsz), text, request.imgsz)


OPENER: EngineOpener = open_onnx
