"""int8 by NNCF's post-training quantisation, with sensitive layers in float."""

from __future__ import annotations

import contextlib
import io
import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from medrov_cli.core.base.optional import require_packages
from medrov_cli.core.engines.onnxruntime_import import forbid_onnxruntime_telemetry
from medrov_cli.core.engines.openvino_import import forbid_telemetry
from medrov_cli.core.engines.signal_stack import kept_signal_stack
from medrov_cli.core.exporting.request import ExportRequest
from medrov_cli.core.records.frame import Float32Array, UInt8Array

if TYPE_CHECKING:
    import onnx

_FLOAT_TYPES = {
    "openvino": ("MatMul", "Multiply", "ReduceMax", "ReduceMean", "ReduceSum", "Add", "Subtract"),
    "onnx": ("MatMul", "Mul", "ReduceMax", "ReduceMean", "ReduceSum", "Add", "Sub"),
}
"""Operators that stay in float: logits and similarities (MatMul, ReduceMax), products of attention
and SiLU (Multiply), pooled features (ReduceMean), and the operators from distances to boxes. The convolutions
remain, which take most of the time. docs/export.md contains the measurements of this choice."""


def check_nncf() -> None:
    """Check that NNCF is installed.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``.
    """
    require_packages("--precision int8", ("nncf",))


def quantised(
    model: Any, graph: onnx.ModelProto, kind: str, request: ExportRequest
) -> tuple[Any, dict[str, Any]]:
    """Return a model in int8, and the settings of the quantisation for its metadata.

    Parameters
    ----------
    model
        Model of OpenVINO, or ONNX model.
    graph
        ONNX model of its origin, which determines the convolutions that stay in float.
    kind
        ``openvino`` or ``onnx``.
    request
        Request whose images are used for calibration.

    Raises
    ------
    MedrovError
        ``DEPENDENCY_MISSING``.
    """
    check_nncf()
    forbid_telemetry()
    forbid_onnxruntime_telemetry()
    nncf = import_module("nncf")
    names = ends_in_float(graph)
    suffix = "/WithoutBiases" if kind == "openvino" else ""
    images = [_inputs(image, request.embeddings) for image in request.squares_rgb]
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            kept_signal_stack(),  # it compiles models
        ):
            made = nncf.quantize(
                model,
                nncf.Dataset(images),
                subset_size=len(images),
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.CPU,
                ignored_scope=nncf.IgnoredScope(
                    names=[name + suffix for name in names],
                    types=list(_FLOAT_TYPES[kind]),
                    validate=False,
                ),
            )
    finally:
        logger.setLevel(level)
    facts = {
        "tool": "nncf",
        "version": str(nncf.__version__),
        "images": len(images),
        "float_operators": list(_FLOAT_TYPES[kind]),
        "float_convolutions": len(names),
    }
    return made, facts


def ends_in_float(graph: onnx.ModelProto) -> list[str]:
    """Return the convolutions that stay in float: the first one, and those of the distances."""
    users: dict[str, list[str]] = {}
    for node in graph.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node.op_type)
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    sides = {
        node.name: next(a.ints[0] for a in node.attribute if a.name == "kernel_shape")
        for node in convolutions
    }
    last = [
        node.name for node in convolutions if sides[node.name] == 1 and "Sigmoid" not in users[node.output[0]]
    ]
    return [convolutions[0].name, *last]


def _inputs(image_rgb: UInt8Array, embeddings: Float32Array | None) -> dict[str, Float32Array]:
    pixels = np.ascontiguousarray(image_rgb.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
    return {"images": pixels} if embeddings is None else {"images": pixels, "embeddings": embeddings}
