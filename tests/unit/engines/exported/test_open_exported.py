"""Exported files with damaged or foreign metadata: an error with exit code 5 that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.engines.exported.read_exported import OPENVINO_SLOTS, read_exported


def onnx_file(path: Path, **metadata: str) -> Path:
    """Write a graph of one node."""
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", places[:1], places[1:])
    model = helper.make_model(graph)
    helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())
    return path


def openvino_file(path: Path, metadata: str) -> Path:
    """Write a graph of one node."""
    from openvino import opset13

    parameter = opset13.parameter([1], np.float32)
    model = openvino.Model([opset13.abs(parameter)], [parameter], "g")
    model.set_rt_info(metadata, list(OPENVINO_SLOTS["medrov"]))
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(MedrovError) as caught:
        read_exported(path)
    assert (caught.value.code, caught.value.exit_code) == (ErrorCode.WEIGHTS_CORRUPT, ExitCode.WEIGHTS)
    assert path.name in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not JSON"),
        ('{"schema": "medrov.export/1", "schema": "medrov.export/1"}', "twice"),
        ('{"schema": "medrov.export/1", "x": ' + "[" * 900 + "]" * 900 + "}", "nested"),
        ('{"schema": "medrov.export/1", "x": NaN}', "NaN"),
        ('{"schema": "medrov.export/1", "x": ' + "9" * 400 + "}", "digits"),
        ('{"schema": "medrov.export/1"}', "missing"),
    ],
)
def test_metadata_that_is_not_one_document(text: str, what: str, tmp_path: Path) -> None:
    assert what in refusal(onnx_file(tmp_path / "m.onnx", medrov=text))
    assert what in refusal(openvino_file(tmp_path / "m.xml", text))


def test_metadata_of_onnx_that_is_not_utf8_or_stands_twice(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", medrov="name")
    path.write_bytes(path.read_bytes().replace(b"name", b"na\xffe"))
    refusal(path)
    model = onnx.load_model_from_string(onnx_file(path, medrov="{}").read_bytes())
    model.metadata_props.add(key="medrov", value="{}")
    path.write_bytes(model.SerializeToString())
    assert "twice" in refusal(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"NAME", b"NA\xffE"),
        lambda text: text.replace(b"NAME", b"\xed\xa0\x80"),
        lambda text: text.replace(b"<metadata", b"<metadata><nested/></metadata><other"),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"<net", b"<!DOCTYPE net [<!ENTITY x 'y'>]><net"),
        lambda text: b"<a>" * 5000,
        lambda text: b"",
    ],
)
def test_rt_info_that_is_not_text(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path: Any = openvino_file(tmp_path / "m.xml", "NAME")
    path.write_bytes(change(path.read_bytes()))
    refusal(path)


def test_an_onnx_file_that_is_none(tmp_path: Path) -> None:
    for content in (b"", b"\xff" * 100, b"\x08\x07" * 50):
        (tmp_path / "m.onnx").write_bytes(content)
        refusal(tmp_path / "m.onnx")
