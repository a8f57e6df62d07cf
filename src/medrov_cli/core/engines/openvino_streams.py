"""A compiled OpenVINO model on the CPU, and images through it, several side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.compiled_cache import BlobCache
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.engines.signal_stack import kept_signal_stack
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array


class OpenVinoStreams:
    """A model of one image, ``images``, uint8 (1, imgsz, imgsz, 3), and inputs that stay.

    Parameters
    ----------
    make
        From OpenVINO's core to the model; called if no compiled one is kept.
    key
        What the model depends on, for the cache of compiled models; null: it is not kept.
    inputs
        Its other inputs, by name.
    bf16
        Compute in bf16, else in float32.
    streams
        Images side by side.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        key: str | None,
        inputs: Mapping[str, Float32Array],
        *,
        bf16: bool,
        streams: int,
    ) -> None:
        openvino = load_openvino()
        core = openvino.Core()
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": usable_cores(),
            # Files are read and boxes chosen beside it: threads that are tied to a core wait for those.
            "ENABLE_CPU_PINNING": False,
        }
        cache = None if key is None else BlobCache("openvino", openvino.__version__, key, config)
        compiled: Any = None
        with kept_signal_stack():
            if cache is not None:
                compiled = cache.load(lambda blob: core.import_model(blob, "CPU", config))
            if compiled is None:
                compiled = core.compile_model(make(core), "CPU", config)
                if cache is not None:
                    cache.keep(lambda: _exported(compiled))
        # An output may have further names, of what it was made of.
        self.output_names = [frozenset(output.get_names()) for output in compiled.outputs]
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._inputs = inputs  # the requests read its memory
        self._tensor = openvino.Tensor
        for request in self._requests:
            for name, array in inputs.items():
                request.set_tensor(name, self._tensor(array, shared_memory=True))

    def run(
        self,
        images_rgb: UInt8Array,
        outputs: tuple[str, ...],
        finish: Callable[[Mapping[str, Float32Array]], Candidates],
    ) -> Iterator[Candidates]:
        """Yield what ``finish`` makes of each image's outputs; the next images are on their way meanwhile.

        Parameters
        ----------
        images_rgb
            uint8, (batch, imgsz, imgsz, 3).
        outputs
            Names of those that are wanted.
        finish
            Must keep nothing of what it is handed: the next image writes there.
        """
        images = np.ascontiguousarray(images_rgb)
        ahead = len(self._requests)
        for row in range(len(images) + ahead):
            request = self._requests[row % ahead]
            if row >= ahead:
                request.wait()
                found = finish({name: request.get_tensor(name).data[0] for name in outputs})
                if row < len(images):
                    self._start(request, images[row : row + 1])
                yield found
            elif row < len(images):
                self._start(request, images[row : row + 1])

    def _start(self, request: Any, image: UInt8Array) -> None:
        request.set_tensor("images", self._tensor(image, shared_memory=True))
        request.start_async()


def computes_in_bf16() -> bool:
    """Tell whether the CPU does."""
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _exported(compiled: Any) -> bytes:
    stream = io.BytesIO()
    compiled.export_model(stream)
    return stream.getvalue()
