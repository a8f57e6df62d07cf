"""Engine for exported OpenVINO and ONNX models in OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import TEXT_WIDTH
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata, corrupt
from medrov_cli.core.engines.exported.outputs import OUTPUTS, candidates_of, class_count
from medrov_cli.core.engines.openvino_import import load_openvino
from medrov_cli.core.engines.openvino_streams import OpenVinoStreams, computes_in_bf16
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.choices import ExportPrecision, Precision

PREPARATION = 1
"""Version of the preprocessing inside the model; increase it with every change."""


class ExportedOpenVinoEngine:
    """Exported model as an :class:`~medrov_cli.core.engines.interface.Engine`.

    The model is compiled for one image of one size, which is fastest, and includes the conversion of uint8.
    Each request computes one image, and several requests run in parallel.

    Parameters
    ----------
    path, sha256, metadata
        The file, its SHA-256, and its metadata.
    embeddings
        Class embeddings of an open model.
    imgsz
        Side of the square model input, in pixels.
    precision
        bf16, or fp32 for the precision of the file.
    streams
        Number of images in parallel.

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
        own = ExportPrecision.BF16 if precision is Precision.BF16 else metadata.precision
        if own is ExportPrecision.BF16 and not computes_in_bf16():
            raise usage_error(
                f"{path.name} in bf16: this CPU does not compute in bf16",
                "Export in fp32 or int8.",
            )
        self.name = "openvino-cpu" + ("" if own is ExportPrecision.FP32 else f"-{own}")
        self.imgsz = imgsz
        self.streams = streams
        self._classes = class_count(metadata, embeddings)
        classes = None if embeddings is None else len(embeddings)
        try:
            self._model = OpenVinoStreams(
                lambda core: _prepared(core, path, imgsz, classes),
                f"exported {sha256} {imgsz} {classes} {PREPARATION}",
                {} if embeddings is None else {"embeddings": embeddings},
                bf16=own is ExportPrecision.BF16,
                streams=streams,
            )
        except RuntimeError as error:
            raise corrupt(str(path), "OpenVINO cannot load it") from error
        names = frozenset[str]().union(*self._model.output_names)
        self._outputs = tuple(name for name in OUTPUTS if name in names)

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        """Return the candidates of each image, as in the interface."""

        def finish(outputs: Mapping[str, Float32Array]) -> Candidates:
            return candidates_of(outputs, floor, self._classes)

        return list(self._model.run(images_rgb, self._outputs, finish))


def _prepared(core: Any, path: Path, imgsz: int, classes: int | None) -> Any:
    """Return the model for one image, uint8, (1, imgsz, imgsz, 3)."""
    openvino = load_openvino()
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
