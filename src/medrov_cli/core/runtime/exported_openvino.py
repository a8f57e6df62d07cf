"""An exported model, OpenVINO's own or ONNX, run by OpenVINO."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.config import TEXT_WIDTH
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.records import Candidates, Float32Array, UInt8Array
from medrov_cli.core.runtime.blobs import BlobCache
from medrov_cli.core.runtime.exported_metadata import ExportMetadata, ExportPrecision, corrupt
from medrov_cli.core.runtime.exported_outputs import OUTPUTS, candidates_of, class_count
from medrov_cli.core.runtime.interface import Precision
from medrov_cli.core.runtime.machine import usable_cores
from medrov_cli.core.runtime.openvino_import import load_openvino

PREPARATION = 1
"""Of what is put before the model: to be raised with every change."""


class ExportedOpenVinoEngine:
    """See :class:`~medrov_cli.core.runtime.interface.Engine`.

    The compiled model is made for one image of one size, which costs least; bytes become numbers in it.
    Images go through one at a time, several side by side.

    Parameters
    ----------
    path, sha256, metadata
        The file, its content, and what it says about itself.
    embeddings
        Class embeddings of an open model.
    imgsz
        Side of the square model input, in pixels.
    precision
        bf16: compute in it; fp32: as the file says.
    streams
        Images side by side.

    Raises
    ------
    MedrovError
        ``USAGE`` if the CPU does not compute in that format; ``WEIGHTS_CORRUPT``.
    """

    is_accelerator = False

    def __init__(
        self,
        path: Path,
        sha256: str,
        metadata: ExportMetadata,
        embeddings: Float32Array | None,
        imgsz: int,
        precision: Precision,
        streams: int,
    ) -> None:
        openvino = load_openvino()
        core = openvino.Core()
        own = ExportPrecision.BF16 if precision is Precision.BF16 else metadata.precision
        if own is ExportPrecision.BF16 and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise MedrovError(
                ErrorCode.USAGE,
                f"{path.name} in bf16: this CPU does not compute in bf16",
                "Export in fp32 or int8.",
            )
        self.name = "openvino-cpu" + ("" if own is ExportPrecision.FP32 else f"-{own}")
        self.imgsz = imgsz
        self.streams = streams
        self._classes = class_count(metadata, embeddings)
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if own is ExportPrecision.BF16 else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": usable_cores(),
            # Files are read and boxes chosen beside it: threads that are tied to a core wait for those.
            "ENABLE_CPU_PINNING": False,
        }
        classes = None if embeddings is None else len(embeddings)
        key = f"exported {sha256} {imgsz} {classes} {PREPARATION}"
        cache = BlobCache("openvino", openvino.__version__, key, config)
        compiled = cache.load(lambda blob: core.import_model(blob, "CPU", config))
        if compiled is None:
            try:
                compiled = core.compile_model(_prepared(core, openvino, path, imgsz, classes), "CPU", config)
            except RuntimeError as error:
                raise corrupt(str(path), "OpenVINO cannot load it") from error
            cache.keep(lambda: _exported(compiled))
        # An output may have further names, of what it was made of.
        names = {name for output in compiled.outputs for name in output.get_names()}
        self._outputs = [name for name in OUTPUTS if name in names]
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self._embeddings = embeddings  # the requests read its memory
        if embeddings is not None:
            for request in self._requests:
                request.set_tensor("embeddings", openvino.Tensor(embeddings, shared_memory=True))
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
            if ahead <= row:
                request.wait()
                outputs = {name: request.get_tensor(name).data[0] for name in self._outputs}
                found = candidates_of(outputs, floor, self._classes)
                if row < len(images):
                    self._start(request, images[row : row + 1])
                yield found
            elif row < len(images):
                self._start(request, images[row : row + 1])

    def _start(self, request: Any, image: UInt8Array) -> None:
        request.set_tensor("images", self._tensor(image, shared_memory=True))
        request.start_async()


def _prepared(core: Any, openvino: Any, path: Path, imgsz: int, classes: int | None) -> Any:
    """Return the model for one image, uint8, (1, imgsz, imgsz, 3)."""
    model = core.read_model(path)
    shapes = {"images": [1, 3, imgsz, imgsz]}
    if classes is not None:
        shapes["embeddings"] = [classes, TEXT_WIDTH]
    model.reshape(shapes)
    steps = openvino.preprocess.PrePostProcessor(model)
    images = steps.input("images")
    images.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    images.model().set_layout(openvino.Layout("NCHW"))
    images.preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    return steps.build()


def _exported(compiled: Any) -> bytes:
    stream = io.BytesIO()
    compiled.export_model(stream)
    return stream.getvalue()
