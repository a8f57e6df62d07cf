"""Engine for ONNX Runtime on the CPU, where OpenVINO is not available; nearly as fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.anchors import decode_anchors, regions_of
from medrov_cli.core.engines.interface import MOST_SIZES, EngineOpener, EngineRequest, Inputs
from medrov_cli.core.engines.onnxruntime_import import load_onnxruntime
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.regions import RegionColumns, Regions


class OnnxEngine:
    """ONNX Runtime as an :class:`~medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    graph
        Function of height and width to an ONNX model: images uint8 (1, height, width, 3), folded classes,
        parts as outputs.
    text
        The classes.
    imgsz
        Longest side of the model input, in pixels.
    learned
        Classes beside those of ``text``.
    rectangles
        Whether inputs may be rectangles; otherwise the model of squares is loaded at once.
    """

    is_accelerator = False
    name = "onnxruntime-cpu"
    streams = 1

    def __init__(
        self,
        graph: Callable[[tuple[int, int]], bytes],
        text: FoldedText,
        imgsz: int,
        learned: RegionColumns | None = None,
        *,
        rectangles: bool = False,
    ) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = 3

        def load_size(input_hw: tuple[int, int]) -> tuple[Any, list[str]]:
            session = onnxruntime.InferenceSession(
                graph(input_hw), options, providers=["CPUExecutionProvider"]
            )
            return session, [output.name for output in session.get_outputs()]

        self._session_of = lru_cache(MOST_SIZES)(load_size)
        self.imgsz = imgsz
        self._text = text
        self._learned = learned
        self._inputs: dict[str, Any] = dict(text.inputs())
        if not rectangles:
            self._session_of((imgsz, imgsz))

    def infer(self, images_rgb: Inputs, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        return [
            decode_anchors(parts, self._text, floor, size, self._learned)
            for parts, size in self._run(images_rgb)
        ]

    def regions(self, images_rgb: Inputs) -> list[Regions]:
        """Return boxes and region vectors, as in the interface."""
        return [regions_of(parts, size) for parts, size in self._run(images_rgb)]

    def _run(self, images_rgb: Inputs) -> Iterator[tuple[dict[str, Float32Array], tuple[int, int]]]:
        for image in images_rgb:
            rows, columns = image.shape[:2]
            session, names = self._session_of((rows, columns))
            inputs = {"images": np.ascontiguousarray(image)[None], **self._inputs}
            values = session.run(names, inputs)
            yield {name: value[0] for name, value in zip(names, values, strict=True)}, (rows, columns)


def open_onnx(request: EngineRequest) -> OnnxEngine:
    """Open the ONNX Runtime engine."""
    text = request.loaders.fold(request.weights, request.embeddings)
    graph = partial(request.loaders.graph, request.weights)
    rectangles = bool(request.runtime.rectangles)
    return OnnxEngine(graph, text, request.imgsz, request.learned, rectangles=rectangles)


OPENER: EngineOpener = open_onnx
