"""Engine for OpenVINO on the CPU, the fastest measured engine without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from medrov_cli.core.base.processor import multiplies_in_int8
from medrov_cli.core.engines.anchors import PARTS, decode_anchors, regions_of
from medrov_cli.core.engines.cpu_format import choose_cpu_format
from medrov_cli.core.engines.interface import EngineOpener, EngineRequest
from medrov_cli.core.engines.openvino_streams import OpenVinoStreams
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.regions import RegionColumns, Regions
from medrov_cli.core.settings.choices import Precision


class OpenVinoEngine:
    """OpenVINO as an :class:`~medrov_cli.core.engines.interface.Engine`.

    Each request computes one image, and several requests run in parallel, so that the result of an image does
    not depend on the others.

    Parameters
    ----------
    graph
        Function that builds the ONNX model: images uint8 (1, imgsz, imgsz, 3), folded classes, parts as
        outputs.
    key
        Everything that the graph depends on, for the cache of compiled models; null: no cache.
    text
        The classes.
    imgsz
        Side of the square model input, in pixels.
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
        graph: Callable[[], bytes],
        key: str | None,
        text: FoldedText,
        imgsz: int,
        precision: Precision,
        streams: int,
        learned: RegionColumns | None = None,
    ) -> None:
        self.name = "openvino-cpu" + ("" if precision is Precision.FP32 else f"-{precision}")
        self.imgsz = imgsz
        self.streams = streams
        self._text = text
        self._learned = learned
        self._model = OpenVinoStreams(
            lambda core: core.read_model(graph()),
            key,
            text.inputs(),
            bf16=precision is Precision.BF16,
            streams=streams,
        )

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""

        def finish(parts: Mapping[str, Float32Array]) -> Candidates:
            return decode_anchors(parts, self._text, floor, (self.imgsz, self.imgsz), self._learned)

        return list(self._model.run(images_rgb, PARTS, finish))

    def regions(self, images_rgb: UInt8Array) -> list[Regions]:
        """Return boxes and region vectors, as in the interface."""

        def finish(parts: Mapping[str, Float32Array]) -> Regions:
            return regions_of(parts, (self.imgsz, self.imgsz))

        return list(self._model.run(images_rgb, PARTS, finish))


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
    key = f"{sha256_of(weights)} {imgsz} {loaders.version}"
    precision, formats = choose_cpu_format(weights, request.runtime.precision)
    graph = partial(loaders.graph, weights, imgsz)
    if precision is Precision.INT8 and formats is not None:
        bits = 8 if multiplies_in_int8() else 7
        graph = partial(loaders.quantised, weights, imgsz, formats.ranges, bits)
        key += f" int8 {loaders.quantised_version} {formats.ranges_sha256} {bits}"
    return OpenVinoEngine(
        graph,
        key,
        text,
        imgsz,
        precision,
        request.streams,
        request.learned,
    )


OPENER: EngineOpener = open_openvino
