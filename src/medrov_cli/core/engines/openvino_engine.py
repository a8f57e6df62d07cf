"""Engine for OpenVINO on the CPU, the fastest measured engine without a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.processor import multiplies_in_int8
from medrov_cli.core.engines.anchors import PARTS, decode_anchors, regions_of
from medrov_cli.core.engines.cpu_format import choose_cpu_format
from medrov_cli.core.engines.interface import MOST_SIZES, EngineOpener, EngineRequest, Inputs
from medrov_cli.core.engines.openvino_streams import OpenVinoStreams, run_streams
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.regions import RegionColumns, Regions
from medrov_cli.core.settings.choices import Precision


class OpenVinoEngine:
    """OpenVINO as an :class:`~medrov_cli.core.engines.interface.Engine`.

    Each request computes one image, and several requests run in parallel, so that the result of an image does
    not depend on the others. A model is compiled for each size of the input.

    Parameters
    ----------
    graph
        Function of height and width that builds the ONNX model: images uint8 (1, height, width, 3), folded
        classes, parts as outputs.
    key
        Everything else that the graph depends on, for the cache of compiled models; null: no cache.
    text
        The classes.
    imgsz
        Longest side of the model input, in pixels.
    rectangles
        Whether inputs may be rectangles; otherwise the model of squares is compiled at once.
    precision
        Number format of the forward pass, which the CPU computes in: fp32, bf16 or int8.
    streams
        Number of images in parallel.
    learned
        Classes beside those of ``text``.
    """

    is_accelerator = False

    def __init__(
        self,
        graph: Callable[[tuple[int, int]], bytes],
        key: str | None,
        text: FoldedText,
        imgsz: int,
        precision: Precision,
        streams: int,
        learned: RegionColumns | None = None,
        *,
        rectangles: bool = False,
    ) -> None:
        self.name = "openvino-cpu" + ("" if precision is Precision.FP32 else f"-{precision}")
        self.imgsz = imgsz
        self.streams = streams
        self._text = text
        self._learned = learned
        inputs = text.inputs()
        threads = usable_cores()  # libraries that are imported later may change it

        def compile_size(input_hw: tuple[int, int]) -> OpenVinoStreams:
            return OpenVinoStreams(
                lambda core: core.read_model(graph(input_hw)),
                None if key is None else f"{key} {input_hw[0]}x{input_hw[1]}",
                inputs,
                bf16=precision is Precision.BF16,
                streams=streams,
                threads=threads,
            )

        models = lru_cache(MOST_SIZES)(compile_size)
        compiling = threading.Lock()

        def model_of(input_hw: tuple[int, int]) -> OpenVinoStreams:
            with compiling:
                return models(input_hw)

        self._model_of = model_of
        if not rectangles:
            self._model_of((imgsz, imgsz))

    def infer(self, images_rgb: Inputs, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""

        def finish(parts: Mapping[str, Float32Array], size: tuple[int, int]) -> Candidates:
            return decode_anchors(parts, self._text, floor, size, self._learned)

        return list(run_streams(images_rgb, self.streams, self._model_of, PARTS, finish))

    def regions(self, images_rgb: Inputs) -> list[Regions]:
        """Return boxes and region vectors, as in the interface."""
        return list(run_streams(images_rgb, self.streams, self._model_of, PARTS, regions_of))


def open_openvino(request: EngineRequest) -> OpenVinoEngine:
    """Open the OpenVINO engine.

    Raises
    ------
    MedrovError
        ``USAGE`` if the CPU does not compute in the requested format, or the weights have no ranges for int8.
    """
    from medrov_cli.core.weights.container import sha256_of

    weights, imgsz, loaders = request.weights, request.imgsz, request.loaders
    text = loaders.fold(weights, request.embeddings)
    key = f"{sha256_of(weights)} {loaders.version}"
    precision, formats = choose_cpu_format(weights, request.runtime.precision)
    graph: Callable[[tuple[int, int]], bytes] = partial(loaders.graph, weights)
    if precision is Precision.INT8 and formats is not None:
        bits = 8 if multiplies_in_int8() else 7
        ranges = formats.ranges

        def graph(input_hw: tuple[int, int]) -> bytes:
            return loaders.quantised(weights, input_hw, ranges, bits)

        key += f" int8 {loaders.quantised_version} {formats.ranges_sha256} {bits}"
    return OpenVinoEngine(
        graph,
        key,
        text,
        imgsz,
        precision,
        request.streams,
        request.learned,
        rectangles=bool(request.runtime.rectangles),
    )


OPENER: EngineOpener = open_openvino
