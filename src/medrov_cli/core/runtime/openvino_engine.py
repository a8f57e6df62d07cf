"""The detector run by OpenVINO on the CPU: the fastest way without a GPU that was measured."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.records import Candidates, FoldedText, UInt8Array
from medrov_cli.core.runtime.blobs import BlobCache
from medrov_cli.core.runtime.interface import Precision
from medrov_cli.core.runtime.machine import usable_cores
from medrov_cli.core.runtime.openvino_import import load_openvino
from medrov_cli.core.runtime.parts import work_out

_HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}


class OpenVinoEngine:
    """See :class:`~medrov_cli.core.runtime.interface.Engine`.

    Images go through one at a time, several side by side: what is found in one does not depend on
    the others.

    Parameters
    ----------
    graph
        Makes the ONNX model: images uint8 (1, imgsz, imgsz, 3), folded classes, parts as outputs.
    key
        What the graph depends on, for the cache of compiled models; null: it is not kept.
    text
        The classes.
    imgsz
        Side of the square model input, in pixels.
    precision
        Number format of the forward pass.
    streams
        Images side by side.

    Raises
    ------
    MedrovError
        ``USAGE`` if the CPU does not compute in that format.
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
    ) -> None:
        openvino = load_openvino()

        core = openvino.Core()
        if precision is Precision.BF16 and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise MedrovError(
                ErrorCode.USAGE, "--precision bf16: this CPU does not compute in bf16", "Use fp32."
            )
        self.name = "openvino-cpu" + ("" if precision is Precision.FP32 else f"-{precision}")
        self.imgsz = imgsz
        self.streams = streams
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": usable_cores(),
            # Files are read and boxes chosen beside it: threads that are tied to a core wait for those.
            "ENABLE_CPU_PINNING": False,
        }
        cache = None if key is None else BlobCache("openvino", openvino.__version__, key, config)
        compiled: Any = None
        if cache is not None:
            compiled = cache.load(lambda blob: core.import_model(blob, "CPU", config))
        if compiled is None:
            compiled = core.compile_model(core.read_model(graph()), "CPU", config)
            if cache is not None:
                cache.keep(lambda: _exported(compiled))
        self._text = text
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._outputs = [output.get_any_name() for output in compiled.outputs]
        for request in self._requests:
            for name, array in text.inputs().items():
                request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
        self._tensor = openvino.Tensor

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image; see the interface."""
        return list(self._run(images_rgb, floor))

    def _run(self, images_rgb: UInt8Array, floor: float) -> Iterator[Candidates]:
        """Yield candidates in the order of the images; the next ones are on their way meanwhile."""
        images = np.ascontiguousarray(images_rgb)
        ahead = len(self._requests)
        for row in range(len(images) + ahead):
            request = self._requests[row % ahead]
            if row >= ahead:
                request.wait()
                parts = {name: request.get_tensor(name).data[0] for name in self._outputs}
                found = work_out(parts, self._text, floor, (self.imgsz, self.imgsz))
                if row < len(images):
                    self._start(request, images[row : row + 1])
                yield found
            elif row < len(images):
                self._start(request, images[row : row + 1])

    def _start(self, request: Any, image: UInt8Array) -> None:
        request.set_tensor("images", self._tensor(image, shared_memory=True))
        request.start_async()


def _exported(compiled: Any) -> bytes:
    stream = io.BytesIO()
    compiled.export_model(stream)
    return stream.getvalue()
