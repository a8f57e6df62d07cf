"""ONNX: one file with its metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medrov_cli.core.base.constants import OPSET
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.exported.read_exported import onnx_content_sha256
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.engines.onnxruntime_import import forbid_onnxruntime_telemetry
from medrov_cli.core.exporting.quantisation import quantised
from medrov_cli.core.exporting.request import (
    ExportRequest,
    open_converted,
    plain_graph,
    plain_twin,
    slots_of,
    suppression_of,
)
from medrov_cli.core.settings.choices import EngineName, ExportPrecision

if TYPE_CHECKING:
    import onnx


class ConvertedOnnx:
    """Model in ONNX, a :class:`~medrov_cli.core.exporting.request.ConvertedModel`.

    Attributes
    ----------
    quantisation
        Settings of the int8 quantisation; null for other precisions.
    """

    def __init__(self, request: ExportRequest) -> None:
        self._request = request
        self.quantisation: dict[str, Any] | None = None
        self._plain = plain_graph(request)
        if request.is_int8:
            free = _with_free_products(self._plain)
            made, self.quantisation = quantised(free, self._plain, "onnx", request)
            self._plain = _tidied(made, self._plain)
        elif request.config.precision is ExportPrecision.FP16:
            self._plain = _in_half(self._plain)

    def save(self, folder: Path, stem: str, metadata: ExportMetadata) -> Sequence[Path]:
        """Write ``stem.onnx``, and ``stem.plain.onnx`` without suppression if it has one."""
        path = folder / f"{stem}.onnx"
        suppression = suppression_of(metadata)
        self._write(path, self._plain, metadata, suppression)
        if suppression is not None:
            self._write(plain_twin(path), self._plain, replace(metadata, suppression=None), None)
        return [path]

    def open(self, path: Path, *, plain: bool = False, imgsz: int | None = None) -> Engine:
        """Return an engine for ONNX Runtime, the runtime of other programs."""
        return open_converted(self._request, path, EngineName.ONNX, plain=plain, imgsz=imgsz)

    def _write(
        self,
        path: Path,
        plain: onnx.ModelProto,
        metadata: ExportMetadata,
        suppression: onnx.ModelProto | None,
    ) -> None:
        from onnx import helper

        from medrov_cli.core.model.graph.suppression_graph import with_suppression

        whole_graph = plain if suppression is None else with_suppression(plain, suppression)
        model = _at_opset(whole_graph, self._request.config.opset or OPSET)
        model.producer_name, model.producer_version = "medrov", metadata.created_by.split()[-1]
        model.doc_string = f"{metadata.weights.name}. {metadata.as_dict()['notice']}"
        whole = replace(metadata, content_sha256=onnx_content_sha256(model))
        helper.set_model_props(model, slots_of(self._request, whole))
        path.write_bytes(model.SerializeToString(deterministic=True))


_IR_VERSIONS = {13: 7, 14: 7, **dict.fromkeys(range(15, 19), 8), 19: 9, 20: 9, 21: 10}
"""File format version that came with each operator set: older runtimes refuse a higher one."""


def _at_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return a copy of a model for an operator set.

    Below 18 the operators of the detector are the same in all of `OPSETS`: only the number is changed.
    From 18 on, the converter of ONNX turns attributes into inputs.
    """
    from onnx import checker, helper, version_converter

    made = type(model)()
    made.CopyFrom(model)
    domains = {own.domain: own.version for own in model.opset_import} | {"": min(opset, OPSET)}
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in domains.items())
    if opset > OPSET:
        made = version_converter.convert_version(made, opset)
    made.ir_version = _IR_VERSIONS[opset]
    checker.check_model(made)
    return made


def _in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model in float16, with inputs and outputs in float32.

    The operators from distances to boxes stay in float32, because float16 has steps of half a pixel at 1,000.
    """
    from importlib import import_module

    forbid_onnxruntime_telemetry()
    half: Any = import_module("onnxruntime.transformers.float16")
    blocked = [*half.DEFAULT_OP_BLOCK_LIST, "Range", "Softmax", "ReduceSum", "ReduceMean"]
    boxes = _ancestors_until_softmax(model)
    made: onnx.ModelProto = half.convert_float_to_float16(
        model, keep_io_types=True, op_block_list=blocked, node_block_list=boxes
    )
    graphs: Any = import_module("onnxruntime.transformers.onnx_model")
    graphs.OnnxModel(made).topological_sort()  # its casts are at the end
    return made


def _ancestors_until_softmax(model: onnx.ModelProto) -> list[str]:
    """Return the nodes between the distances and the boxes."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found: list[str] = []
    open_names = ["boxes"]
    while open_names:
        node = makers.get(open_names.pop())
        if node is None or node.name in found:
            continue
        found.append(node.name)
        if node.op_type not in ("Softmax", "Shape"):
            open_names.extend(node.input)
    return found


def _with_free_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with an operator between each MatMul and its constant.

    NNCF treats a constant factor as the weights of a layer, and fails on the missing input.
    """
    from onnx import helper

    made = type(model)()
    made.CopyFrom(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    del made.graph.node[:]
    for node in model.graph.node:
        own = type(node)()
        own.CopyFrom(node)
        for place, name in enumerate(node.input):
            if node.op_type == "MatMul" and name in constants:
                own.input[place] = f"{node.name}_{name}"
                step = own.input[place]
                made.graph.node.append(helper.make_node("Identity", [name], [step], step))
        made.graph.node.append(own)
    return made


def _tidied(made: onnx.ModelProto, original: onnx.ModelProto) -> onnx.ModelProto:
    """Return a quantised model with the inputs, outputs and format of its original, without unused parts."""
    for field in ("input", "output"):
        own = getattr(made.graph, field)
        del own[:]
        own.extend(getattr(original.graph, field))
    del made.graph.value_info[:]
    del made.metadata_props[:]
    made.ir_version = original.ir_version
    return made
