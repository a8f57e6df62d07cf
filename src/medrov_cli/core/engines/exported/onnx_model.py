"""Engine for exported ONNX models in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medrov_cli.core.base.environment import usable_cores
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata, corrupt
from medrov_cli.core.engines.exported.outputs import candidates_of, class_count
from medrov_cli.core.engines.onnxruntime_import import load_onnxruntime
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.choices import ExportPrecision


class ExportedOnnxEngine:
    """Exported ONNX model as an :class:`~medrov_cli.core.engines.interface.Engine`.

    Parameters
    ----------
    path, metadata
        The file and its metadata.
    embeddings
        Class embeddings of an open model.
    imgsz
        Side of the square model input, in pixels.

    Raises
    ------
    MedrovError
        ``WEIGHTS_CORRUPT``.
    """

    is_accelerator = False
    streams = 1

    def __init__(
        self, path: Path, metadata: ExportMetadata, embeddings: Float32Array | None, imgsz: int
    ) -> None:
        onnxruntime = load_onnxruntime()
        own = metadata.precision
        self.name = "onnxruntime-cpu" + ("" if own is ExportPrecision.FP32 else f"-{own}")
        self.imgsz = imgsz
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base class
            raise corrupt(str(path), "ONNX Runtime cannot load it") from error
        self._classes = class_count(metadata, embeddings)
        self._inputs = {} if metadata.classes is not None else {"embeddings": embeddings}
        self._outputs = [output.name for output in self._session.get_outputs()]

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""
        found = []
        for image in images_rgb:
            pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
            pixels /= np.float32(255)
            values = self._session.run(self._outputs, {"images": pixels, **self._inputs})
            named = {name: value[0] for name, value in zip(self._outputs, values, strict=True)}
            found.append(candidates_of(named, floor, self._classes))
        return found
