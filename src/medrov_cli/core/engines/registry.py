"""Registry of inference engines by the names of ``--engine``."""

from __future__ import annotations

from medrov_cli.core.base.plugins import Entry

_PACKAGE = "medrov_cli.core.engines"

MODULES = {"onnx": "onnxruntime", "openvino": "openvino"}
"""Optional modules that engines need, by engine; a module has the name of its package."""

ENGINES = (
    Entry("torch", f"{_PACKAGE}.torch_engine", "OPENER", "torch, on the CPU, on CUDA or on Apple's GPU"),
    Entry("onnx", f"{_PACKAGE}.onnx_engine", "OPENER", "ONNX Runtime, on the CPU"),
    Entry("openvino", f"{_PACKAGE}.openvino_engine", "OPENER", "OpenVINO, on the CPU"),
)
