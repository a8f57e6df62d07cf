"""Compiled OpenVINO model on the CPU with several images in parallel."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.processor import may_use_avx512
from medrov_cli.core.engines.compiled_cache import CompiledModelCache
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.engines.signal_stack import kept_signal_stack
from medrov_cli.core.records.frame import Float32Array, UInt8Array

Found = TypeVar("Found")


class OpenVinoStreams:
    """Model of one image, ``images``, uint8 (1, imgsz, imgsz, 3), with constant other inputs.

    Parameters
    ----------
    make
        Function of OpenVINO's core to the model; called if the cache contains no compiled one.
    key
        Everything that the model depends on, for the cache of compiled models; null: no cache.
    inputs
        The other inputs, by name.
    bf16
        Whether it computes in bf16 instead of float32.
    streams
        Number of images in parallel.
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
            # Other threads read files and select boxes: pinned threads would wait for them.
            "ENABLE_CPU_PINNING": False,
        }
        cache = None if key is None else CompiledModelCache("openvino", openvino.__version__, key, config)
        compiled: Any = None
        with kept_signal_stack():
            if cache is not None:
                compiled = cache.load(lambda blob: core.import_model(blob, "CPU", config))
            if compiled is None:
                compiled = core.compile_model(make(core), "CPU", config)
                if cache is not None:
                    cache.keep(lambda: _exported(compiled))
        # An output may have further names, those of its operators.
        self.output_names = [frozenset(output.get_names()) for output in compiled.outputs]
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._inputs = inputs  # the requests reference its memory
        self._tensor = openvino.Tensor
        for request in self._requests:
            for name, array in inputs.items():
                request.set_tensor(name, self._tensor(array, shared_memory=True))

    def run(
        self,
        images_rgb: UInt8Array,
        outputs: tuple[str, ...],
        finish: Callable[[Mapping[str, Float32Array]], Found],
    ) -> Iterator[Found]:
        """Yield the result of ``finish`` on the outputs of each image, while the next images are computed.

        Parameters
        ----------
        images_rgb
            uint8, (batch, imgsz, imgsz, 3).
        outputs
            Names of the required outputs.
        finish
            Function of the outputs, which must not keep references: the next image overwrites them.
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
    """Return whether the CPU computes in bf16."""
    able = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # OpenVINO lists bf16 whatever the environment's limit, and then finds no implementation.
    return "BF16" in able and may_use_avx512()


def _exported(compiled: Any) -> bytes:
    stream = io.BytesIO()
    compiled.export_model(stream)
    return stream.getvalue()
