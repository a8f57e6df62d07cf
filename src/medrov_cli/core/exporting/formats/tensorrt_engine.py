"""Engine for TensorRT plans on torch's memory, for comparisons only."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import torch

from medrov_cli.core.engines.exported.outputs import candidates_of
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array


class TensorRtEngine:
    """TensorRT as an :class:`~medrov_cli.core.engines.interface.Engine`."""

    is_accelerator = True
    streams = 1
    name = "tensorrt"

    def __init__(self, plan: bytes, embeddings: Float32Array | None, imgsz: int, classes: int) -> None:
        trt: Any = import_module("tensorrt")
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = runtime.deserialize_cuda_engine(plan)
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(row) for row in range(self._engine.num_io_tensors)]
        mode = trt.TensorIOMode.OUTPUT
        self._outputs = [name for name in names if self._engine.get_tensor_mode(name) == mode]
        self._embeddings = None if embeddings is None else torch.from_numpy(embeddings).cuda()
        self._classes = classes
        self.imgsz = imgsz

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        pixels = torch.from_numpy(np.ascontiguousarray(images_rgb)).cuda().permute(0, 3, 1, 2).float() / 255
        inputs = {"images": pixels.contiguous()}
        if self._embeddings is not None:
            inputs["embeddings"] = self._embeddings
        for name, tensor in inputs.items():
            self._context.set_input_shape(name, tuple(tensor.shape))
            self._context.set_tensor_address(name, tensor.data_ptr())
        outputs = {}
        for name in self._outputs:
            shape = tuple(self._context.get_tensor_shape(name))
            outputs[name] = torch.empty(shape, dtype=torch.float32, device="cuda")
            self._context.set_tensor_address(name, outputs[name].data_ptr())
        stream = torch.cuda.current_stream()
        self._context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        values = {name: tensor.cpu().numpy() for name, tensor in outputs.items()}
        return [
            candidates_of({name: value[row] for name, value in values.items()}, floor, self._classes)
            for row in range(len(images_rgb))
        ]
