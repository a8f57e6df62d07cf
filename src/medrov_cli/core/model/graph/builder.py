"""Builder of ONNX graphs: one method per operator, with generated tensor names.

It is written by hand because the exporters of torch and ultralytics need torch, which ``detect`` on a CPU
does not import, and because their graphs depend on their version. Equal calls give equal bytes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from medrov_cli.core.base.constants import OPSET

IR_VERSION = 8
"""File format version of this operator set."""

_TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}

Name = str
"""Name of a tensor of the graph."""


class OnnxBuilder:
    """Collector of nodes and constants; equal constants are stored once.

    A tensor is named by its operator and a number, so that equal calls give equal bytes.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._domains = {"": OPSET}

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> Name:
        """Declare an input; a string in the shape is a free dimension."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], shape))
        return name

    def output(self, tensor: Name, name: str, kind: str, shape: Sequence[int | str]) -> None:
        """Declare a tensor as an output with a name."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES[kind], shape))

    def constant(self, value: Any, kind: str = "float32") -> Name:
        """Return a constant."""
        array = np.array(value, dtype=kind, order="C")
        key = (kind, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"c{len(self._constants)}")
        return str(self._constants[key].name)

    def node(self, operator: str, *inputs: Name, **attributes: Any) -> Name:
        """Add an operator with one output, and return the output."""
        return self.nodes(operator, *inputs, outputs=1, **attributes)[0]

    def nodes(self, operator: str, *inputs: Name, outputs: int, **attributes: Any) -> list[Name]:
        """Add an operator with several outputs, and return them."""
        stem = f"{operator.lower()}{len(self._nodes)}"
        names = [stem if outputs == 1 else f"{stem}_{i}" for i in range(outputs)]
        self._domains.setdefault(attributes.get("domain", ""), 1)
        self._nodes.append(helper.make_node(operator, inputs, names, name=stem, **attributes))
        return names

    def reshape(self, x: Name, *shape: int) -> Name:
        """Return a tensor in another shape: 0 keeps a dimension, -1 infers it."""
        return self.node("Reshape", x, self.constant(shape, "int64"))

    def transpose(self, x: Name, *order: int) -> Name:
        """Return a tensor with permuted dimensions."""
        return self.node("Transpose", x, perm=order)

    def concat(self, tensors: Sequence[Name], axis: int) -> Name:
        """Return tensors joined along a dimension."""
        return self.node("Concat", *tensors, axis=axis)

    def split(self, x: Name, size: int, count: int, axis: int) -> list[Name]:
        """Return equal parts of a tensor."""
        return self.nodes("Split", x, self.constant([size] * count, "int64"), outputs=count, axis=axis)

    def model(self, producer: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the checked model."""
        graph = helper.make_graph(
            self._nodes, producer, self._inputs, self._outputs, list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(name, version) for name, version in self._domains.items()],
            ir_version=IR_VERSION,
            producer_name=producer,
        )
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model
