"""TensorRT: a plan for this machine's GPU from the ONNX model, with metadata in a file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import GRID, TEXT_WIDTH
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.optional import require_packages
from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.exporting.formats.onnx_file import ConvertedOnnx
from medrov_cli.core.exporting.request import ExportRequest
from medrov_cli.core.settings.choices import ExportPrecision

MOST_IMAGES = 16
MOST_CLASSES = 2000
LARGEST_IMGSZ = 1280
"""Largest input side of a plan for a range of shapes."""


def check_tensorrt() -> None:
    """Check that TensorRT and a CUDA device are available.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``.
    """
    require_packages("--to tensorrt", ("tensorrt",))
    import torch

    if not torch.cuda.is_available():
        raise MedrovError(
            ErrorCode.DEPENDENCY_MISSING,
            "--to tensorrt: this machine or this build of torch has no CUDA device",
            "Run the command on the machine with the GPU, or export to onnx.",
        )


class ConvertedTensorRt:
    """Model as a TensorRT plan, a :class:`~medrov_cli.core.exporting.request.ConvertedModel`."""

    quantisation: dict[str, Any] | None = None

    def __init__(self, request: ExportRequest) -> None:
        check_tensorrt()
        self._request = request
        # TensorRT selects float16 and bfloat16 per layer, so that its input is the float32 graph.
        plain = replace(request, config=replace(request.config, precision=ExportPrecision.FP32))
        self._graph = ConvertedOnnx(plain)
        self._plans: dict[bool, bytes] = {}

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write ``stem.engine``, and ``stem.plain.engine`` without suppression if it has one."""
        path = folder / f"{stem}.engine"
        for is_plain in (False, True) if metadata.suppression is not None else (False,):
            if is_plain not in self._plans:
                own = replace(metadata, suppression=None) if is_plain else metadata
                with scratch_folder() as place:
                    (graph,) = self._graph.save(place, "graph", own)
                    self._plans[is_plain] = self._built(graph.read_bytes())
            target = path.with_name(f"{stem}.plain.engine") if is_plain else path
            target.write_bytes(self._plans[is_plain])
        return [path]

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine:
        """Return an engine for TensorRT."""
        from medrov_cli.core.exporting.formats.tensorrt_engine import TensorRtEngine

        twin = path.with_name(f"{path.stem}.plain.engine")
        request = self._request
        return TensorRtEngine(
            (twin if plain and twin.exists() else path).read_bytes(),
            request.embeddings,
            imgsz or request.imgsz,
            len(request.classes.names),
        )

    def _built(self, graph: bytes) -> bytes:
        trt: Any = import_module("tensorrt")
        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
        network = builder.create_network(flags)
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(graph):
            reasons = "; ".join(str(parser.get_error(row)) for row in range(parser.num_errors))
            raise MedrovError(ErrorCode.INTERNAL, f"TensorRT cannot read the graph: {reasons}")
        settings = builder.create_builder_config()
        precision = self._request.config.precision
        if precision is not ExportPrecision.FP32:
            settings.set_flag(
                trt.BuilderFlag.FP16 if precision is ExportPrecision.FP16 else trt.BuilderFlag.BF16
            )
        else:
            settings.clear_flag(trt.BuilderFlag.TF32)  # TF32 has a mantissa of ten bits
        settings.add_optimization_profile(self._profile(builder))
        plan = builder.build_serialized_network(network, settings)
        if plan is None:
            raise MedrovError(ErrorCode.INTERNAL, "TensorRT cannot build a plan for this GPU")
        return bytes(plan)

    def _profile(self, builder: Any) -> Any:
        config, imgsz = self._request.config, self._request.imgsz
        profile = builder.create_optimization_profile()
        low, high = (GRID, max(LARGEST_IMGSZ, imgsz)) if config.dynamic else (imgsz, imgsz)
        profile.set_shape("images", (1, 3, low, low), (1, 3, imgsz, imgsz), (MOST_IMAGES, 3, high, high))
        if config.is_open:
            usual = min(max(len(self._request.classes.names), 1), MOST_CLASSES)
            profile.set_shape("embeddings", (1, TEXT_WIDTH), (usual, TEXT_WIDTH), (MOST_CLASSES, TEXT_WIDTH))
        return profile
