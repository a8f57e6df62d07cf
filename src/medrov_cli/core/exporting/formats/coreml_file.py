"""Core ML: a package from the traced network, with the metadata as user-defined metadata."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import POOLED, TEXT_WIDTH
from medrov_cli.core.base.optional import require_packages
from medrov_cli.core.engines.anchors import keep_above
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.exporting.request import ExportRequest, slots_of
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.settings.choices import ExportPrecision

MOST_IMAGES = 16
MOST_CLASSES = 2000


def check_coreml() -> None:
    """Check that coremltools is installed.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``.
    """
    require_packages("--to coreml", ("coremltools",))


class ConvertedCoreMl:
    """Model in Core ML, a :class:`~medrov_cli.core.exporting.request.ConvertedModel`."""

    quantisation: dict[str, Any] | None = None

    def __init__(self, request: ExportRequest) -> None:
        check_coreml()
        from medrov_cli.core.exporting.formats.traced import traced

        self._tools: Any = import_module("coremltools")
        tools, self._request = self._tools, request
        images = tools.RangeDim(1, MOST_IMAGES, 1)
        inputs = [tools.TensorType("images", shape=(images, 3, request.imgsz, request.imgsz))]
        if request.config.is_open:
            classes = tools.RangeDim(1, MOST_CLASSES, min(max(len(request.classes.names), 1), MOST_CLASSES))
            inputs.append(tools.TensorType("embeddings", shape=(classes, TEXT_WIDTH)))
        names = ["boxes", "scores", *([] if request.kinds is None else [POOLED])]
        half = request.config.precision is ExportPrecision.FP16
        self._model = tools.convert(
            traced(request),
            inputs=inputs,
            outputs=[tools.TensorType(name) for name in names],
            convert_to="mlprogram",
            compute_precision=tools.precision.FLOAT16 if half else tools.precision.FLOAT32,
            minimum_deployment_target=tools.target.iOS16,
        )

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write ``stem.mlpackage``, a folder."""
        path = folder / f"{stem}.mlpackage"
        own = self._model.user_defined_metadata
        for key, text in slots_of(self._request, metadata).items():
            own[key] = text
        self._model.license = metadata.weights.licence
        self._model.short_description = f"{metadata.weights.name}. {metadata.as_dict()['notice']}"
        self._model.save(str(path))
        return [path]

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine | None:
        """Return an engine for Core ML on macOS, else null."""
        del plain, imgsz  # no suppression inside, and one size
        if platform.system() != "Darwin":
            return None
        return _CoreMlEngine(
            self._tools.models.MLModel(str(path)), self._request.embeddings, self._request.imgsz
        )


class _CoreMlEngine:
    """Core ML as an :class:`~medrov_cli.core.engines.interface.Engine`, for comparisons only."""

    is_accelerator = False
    streams = 1
    name = "coreml"

    def __init__(self, model: Any, embeddings: Float32Array | None, imgsz: int) -> None:
        self._model = model
        self._more = {} if embeddings is None else {"embeddings": embeddings}
        self.imgsz = imgsz

    def infer(self, images_rgb: UInt8Array, floor: float = 0.0) -> list[Candidates]:
        found = []
        for image in images_rgb:
            pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
            values = self._model.predict({"images": pixels, **self._more})
            found.append(
                keep_above(
                    values["boxes"][0].astype(np.float32), values["scores"][0].astype(np.float32), floor
                )
            )
        return found
