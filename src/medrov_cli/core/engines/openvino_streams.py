"""Compiled OpenVINO model on the CPU with several images in parallel."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.base.processor import may_use_avx512
from medrov_cli.core.engines.compiled_cache import CompiledModelCache
from medrov_cli.core.engines.interface import Inputs
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.engines.signal_stack import kept_signal_stack
from medrov_cli.core.records.frame import Float32Array, UInt8Array

Found = TypeVar("Found")

QUEUED = 1
"""Images of a call that wait for a stream, so that it has work while the outputs of an image are read."""


class OpenVinoStreams:
    """Model of one image, ``images``, uint8 (1, height, width, 3), with constant other inputs.

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
    threads
        Number of threads over all streams; null: the usable cores.
    """

    def __init__(
        self,
        make: Callable[[Any], Any],
        key: str | None,
        inputs: Mapping[str, Float32Array],
        *,
        bf16: bool,
        streams: int,
        threads: int | None = None,
    ) -> None:
        openvino = load_openvino()
        core = openvino.Core()
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads or usable_cores(),
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
        self.streams = streams
        self._compiled = compiled
        self._idle: list[Any] = []
        self._inputs = inputs  # the requests reference its memory
        self._tensor = openvino.Tensor

    def start(self, image_rgb: UInt8Array) -> RunningImage:
        """Start an image, uint8, (1, height, width, 3): at once, or when one of the streams is free."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._new_request()
        request.set_tensor("images", self._tensor(image_rgb, shared_memory=True))
        request.start_async()
        return RunningImage(request, self._idle)

    def _new_request(self) -> Any:
        request = self._compiled.create_infer_request()
        for name, array in self._inputs.items():
            request.set_tensor(name, self._tensor(array, shared_memory=True))
        return request

    def run(
        self,
        images_rgb: UInt8Array,
        outputs: tuple[str, ...],
        finish: Callable[[Mapping[str, Float32Array]], Found],
    ) -> Iterator[Found]:
        """Yield the results of images of the size of the model; see :func:`run_streams`."""
        return run_streams(images_rgb, self.streams, lambda _: self, outputs, lambda parts, _: finish(parts))


class RunningImage:
    """An image that is computed."""

    def __init__(self, request: Any, idle: list[Any]) -> None:
        self._request = request
        self._idle = idle

    def finish(
        self, outputs: tuple[str, ...], finish: Callable[[Mapping[str, Float32Array]], Found]
    ) -> Found:
        """Return the result of ``finish`` on the outputs, by name.

        It must not keep references: the next image overwrites them.
        """
        try:
            self._request.wait()
            return finish({name: self._request.get_tensor(name).data[0] for name in outputs})
        finally:
            self._idle.append(self._request)


def run_streams(
    images_rgb: Inputs,
    streams: int,
    model_of: Callable[[tuple[int, int]], OpenVinoStreams],
    outputs: tuple[str, ...],
    finish: Callable[[Mapping[str, Float32Array], tuple[int, int]], Found],
) -> Iterator[Found]:
    """Yield the result of ``finish`` on the outputs of each image, while the next images are computed.

    Parameters
    ----------
    images_rgb
        The images.
    streams
        Number of images in parallel, over all models.
    model_of
        Function of height and width to the model of such images.
    outputs
        Names of the required outputs.
    finish
        Function of the outputs, and of height and width; see `RunningImage.finish`.
    """
    running: deque[tuple[RunningImage, tuple[int, int]]] = deque()

    def oldest() -> Found:
        image, size = running.popleft()
        return image.finish(outputs, lambda parts: finish(parts, size))

    try:
        for image in images_rgb:
            rows, columns = image.shape[:2]
            model = model_of((rows, columns))
            running.append((model.start(np.ascontiguousarray(image)[None]), (rows, columns)))
            if len(running) == streams + QUEUED:
                yield oldest()
        while running:
            yield oldest()
    finally:
        for image, _ in running:
            image.finish((), lambda _: None)


def computes_in_bf16() -> bool:
    """Return whether the CPU computes in bf16."""
    able = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # OpenVINO lists bf16 whatever the environment's limit, and then finds no implementation.
    return "BF16" in able and may_use_avx512()


def _exported(compiled: Any) -> bytes:
    stream = io.BytesIO()
    compiled.export_model(stream)
    return stream.getvalue()
