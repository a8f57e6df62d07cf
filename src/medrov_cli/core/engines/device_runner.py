"""Execution of a step on a device: copies, streams, and recorded passes of a GPU.

On CUDA, each of two slots has a pinned buffer on the host, a buffer on the device and two streams. While
one slot computes, the other one copies its images, in another thread. A step of a shape that occurs again is
recorded as a CUDA graph, and repeated without the launches of its thousand kernels.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from medrov_cli.core.records.frame import UInt8Array

Outputs = Any
"""A tensor, or tuples of tensors; those of a recorded step are overwritten by its next call."""

Images = UInt8Array | Sequence[Any]
"""Squares as an array, (batch, size, size, 3), or as a list of arrays on the host and tensors."""

Found = TypeVar("Found")

_Key = tuple[Callable[[Tensor], Outputs], tuple[int, ...]]

SLOTS = 2
"""Batches on a GPU at a time."""

MAX_GRAPHS = 4
"""Largest number of recorded shapes of a slot; each keeps the memory of a pass."""


class DeviceRunner(Protocol):
    """Function that runs a step on images; may be called by ``slots`` threads at a time."""

    slots: int

    def run(
        self, images_rgb: Images, step: Callable[[Tensor], Outputs], finish: Callable[[Outputs], Found]
    ) -> Found:
        """Return the result of ``finish`` on the outputs of ``step`` on images, uint8, on the device.

        ``step`` has static shapes. ``finish`` must not keep references to the outputs.
        """

    def prepare(self, image_rgb: UInt8Array, step: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the result of ``step`` on one image, uint8, on the device; any thread may call it."""


class PlainRunner:
    """Execution in the order of the calls, on a CPU or on Apple's GPU."""

    slots = 1

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def run(
        self, images_rgb: Images, step: Callable[[Tensor], Outputs], finish: Callable[[Outputs], Found]
    ) -> Found:
        """Return the result; see the protocol."""
        if isinstance(images_rgb, np.ndarray):
            images = to_tensor(images_rgb).to(self._device)
        else:
            images = torch.stack([torch.as_tensor(image, device=self._device) for image in images_rgb])
        return finish(step(images))

    def prepare(self, image_rgb: UInt8Array, step: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the result of a step on one image; see the protocol."""
        return step(to_tensor(image_rgb).to(self._device))


class CudaRunner:
    """Execution in two slots of a CUDA device.

    Parameters
    ----------
    device
        The device.
    uses_graphs
        Whether steps are recorded.
    cuda
        ``torch.cuda``, or a module with its functions.
    """

    slots = SLOTS

    def __init__(self, device: torch.device, *, uses_graphs: bool = True, cuda: Any = torch.cuda) -> None:
        self.uses_graphs = uses_graphs
        self._device, self._cuda = device, cuda
        self._own = threading.local()
        self._free: SimpleQueue[_Slot] = SimpleQueue()
        self._recording = threading.Lock()
        for _ in range(SLOTS):
            self._free.put(_Slot(device, cuda, self))

    def run(
        self, images_rgb: Images, step: Callable[[Tensor], Outputs], finish: Callable[[Outputs], Found]
    ) -> Found:
        """Return the result; see the protocol."""
        slot = self._free.get()
        try:
            with self._cuda.stream(slot.stream):
                return finish(slot.call(step, slot.upload(images_rgb)))
        finally:
            self._free.put(slot)

    def prepare(self, image_rgb: UInt8Array, step: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the result of a step on one image, in a stream of the calling thread; see the protocol."""
        stream = getattr(self._own, "stream", None)
        if stream is None:
            stream = self._own.stream = self._cuda.Stream(self._device)
        with self._cuda.stream(stream):
            image = to_tensor(image_rgb).to(self._device)
            found = step(image)
        stream.synchronize()  # other streams may read the result from here on
        return found

    def record(self, make: Callable[[], _Graph]) -> _Graph | None:
        """Return a recorded step; null if it cannot be recorded: no further step is then recorded."""
        with self._recording:
            if not self.uses_graphs:
                return None
            try:
                return make()
            except RuntimeError as error:
                self.uses_graphs = False
                warnings.warn(
                    f"the pass is not recorded as a CUDA graph, and runs without: {error}".splitlines()[0],
                    RuntimeWarning,
                    stacklevel=2,
                )
                return None


class _Graph:
    """A recorded step and its outputs."""

    def __init__(self, graph: Any, outputs: Outputs) -> None:
        self._graph, self._outputs = graph, outputs

    def replay(self) -> Outputs:
        self._graph.replay()
        return self._outputs


class _Slot:
    """Buffers, streams and recorded steps of one batch."""

    def __init__(self, device: torch.device, cuda: Any, runner: CudaRunner) -> None:
        self._device, self._cuda, self._runner = device, cuda, runner
        self.stream, self._copies = cuda.Stream(device), cuda.Stream(device)
        self._pinned = self._images = torch.empty((0, 0, 0, 3), dtype=torch.uint8)
        self._graphs: dict[_Key, _Graph] = {}
        self._seen: set[_Key] = set()

    def upload(self, images_rgb: Images) -> Tensor:
        """Return images on the device, in the slot's buffer; the copy runs in a stream of its own."""
        count = len(images_rgb)
        shape = (count, *images_rgb[0].shape)
        if self._images.shape[1:] != shape[1:] or len(self._images) < count:
            self._renew(shape)
        # The stream of the computation waits for the copy; the copy waits for nothing: the slot is free.
        with self._cuda.stream(self._copies):
            if isinstance(images_rgb, np.ndarray):
                np.copyto(self._pinned[:count].numpy(), images_rgb)
                self._images[:count].copy_(self._pinned[:count], non_blocking=True)
            else:
                self._copy_each(images_rgb)
            done = self._copies.record_event()
        self.stream.wait_event(done)
        return self._images[:count]

    def _copy_each(self, images_rgb: Sequence[Any]) -> None:
        for row, image in enumerate(images_rgb):
            source = image
            if isinstance(image, np.ndarray):
                np.copyto(self._pinned[row].numpy(), image)
                source = self._pinned[row]
            self._images[row].copy_(source, non_blocking=True)

    def call(self, step: Callable[[Tensor], Outputs], images: Tensor) -> Outputs:
        """Return the outputs of a step: recorded when its shape occurs for the second time."""
        key = (step, tuple(images.shape))
        if key not in self._graphs and key in self._seen and len(self._graphs) < MAX_GRAPHS:
            recorded = self._runner.record(lambda: self._record(step, images))
            if recorded is not None:
                self._graphs[key] = recorded
        self._seen.add(key)
        return self._graphs[key].replay() if key in self._graphs else step(images)

    def _record(self, step: Callable[[Tensor], Outputs], images: Tensor) -> _Graph:
        graph = self._cuda.CUDAGraph()
        self.stream.synchronize()
        # thread_local: the other slot may allocate and compute meanwhile.
        with self._cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            outputs = step(images)
        return _Graph(graph, outputs)

    def _renew(self, shape: tuple[int, ...]) -> None:
        """Make buffers of a shape; recorded steps refer to the former ones."""
        self._graphs.clear()
        self._seen.clear()
        self.stream.synchronize()
        pins = self._device.type == "cuda"
        self._pinned = torch.empty(shape, dtype=torch.uint8, pin_memory=pins)
        self._images = torch.empty(shape, dtype=torch.uint8, device=self._device)


def to_tensor(image_rgb: UInt8Array) -> Tensor:
    """Return an array as a tensor on the host, without a copy where torch may share its memory."""
    return torch.from_numpy(np.require(image_rgb, requirements=("C", "W")))


def open_runner(device: torch.device) -> DeviceRunner:
    """Return the runner of a device."""
    return CudaRunner(device) if device.type == "cuda" else PlainRunner(device)
