"""Exported models that end their runtime: an error, and not the end of this process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.engines.exported import open_exported, trial
from medrov_cli.core.engines.exported.export_metadata import ExportMetadata
from medrov_cli.core.engines.exported.read_exported import onnx_content_sha256, read_exported
from medrov_cli.core.settings.choices import EngineName, ExportFormat, ExportPrecision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.metadata import ClassEntry
from weights_fixtures import metadata

SIDE = 64


def write_model(path: Path, *, is_hostile: bool, columns: int = 1, sides: int = 4) -> Path:
    """Write a model with one constant box; a hostile one has a convolution without weights.

    The metadata promise one column of scores, and four sides of a box.
    """
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Conv" if is_hostile else "Abs", ["images"], ["other"]),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["box", "nothing"], ["boxes"]),
        helper.make_node("Add", ["score", "nothing"], ["scores"]),
    ]
    constants = {"zero": np.float32(0), "box": np.ones((1, 1, sides), np.float32)}
    constants |= {"score": np.full((1, 1, columns), 0.5, np.float32)}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 1, sides]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, columns]),
            helper.make_tensor_value_info("other", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    about = ExportMetadata(
        format=ExportFormat.ONNX,
        precision=ExportPrecision.FP32,
        weights_sha256="0" * 64,
        weights=metadata(),
        classes=(ClassEntry("liver"),),
        asked=True,
        text_encoder="minilm",
        vocabulary_sha256="1" * 64,
        imgsz=SIDE,
        created_by="test",
        content_sha256=onnx_content_sha256(model),
    )
    helper.set_model_props(model, {"medrov": about.to_json()})
    path.write_bytes(model.SerializeToString())
    return path


def open_model(path: Path, engine: EngineName = EngineName.OPENVINO) -> Any:
    return open_exported.open_exported(read_exported(path), None, RuntimeSettings(engine=engine), imgsz=SIDE)


@pytest.mark.usefixtures("empty_cache")
def test_a_model_that_ends_the_runtime_is_an_error(tmp_path: Path) -> None:
    path = write_model(tmp_path / "hostile.onnx", is_hostile=True)
    read = [sys.executable, "-c", "import sys, openvino; openvino.Core().read_model(sys.argv[1])", str(path)]
    done = subprocess.run(read, capture_output=True, check=False)
    if done.returncode != -signal.SIGSEGV:
        pytest.skip("this version of OpenVINO reads a convolution without weights")
    for _ in range(2):  # a failure is not remembered
        with pytest.raises(MedrovError) as caught:
            open_model(path)
        assert (caught.value.code, caught.value.exit_code) == (ErrorCode.WEIGHTS_CORRUPT, ExitCode.WEIGHTS)
        assert "hostile.onnx: the engine ends abnormally" in caught.value.message


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("shape", [{"columns": 2}, {"sides": 5}])
@pytest.mark.parametrize("engine", [EngineName.ONNX, EngineName.OPENVINO])
def test_outputs_of_another_shape_are_an_error(
    tmp_path: Path, shape: dict[str, int], engine: EngineName
) -> None:
    path = write_model(tmp_path / "other.onnx", is_hostile=False, **shape)
    with pytest.raises(MedrovError) as caught:
        open_model(path, engine)
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT
    assert "other.onnx: the engine fails on an image" in caught.value.message


@pytest.mark.usefixtures("empty_cache")
def test_a_model_is_tried_once_for_each_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "good.onnx", is_hostile=False)
    tried = []
    attempt = trial._try

    def counted(request: trial.TrialRequest) -> Any:
        tried.append(request.engine)
        return attempt(request)

    monkeypatch.setattr(trial, "_try", counted)
    for engine in (EngineName.ONNX, EngineName.ONNX, EngineName.OPENVINO, EngineName.OPENVINO):
        (found,) = open_model(path, engine).infer(np.zeros((1, SIDE, SIDE, 3), np.uint8), 0.1)
        assert found.scores.tolist() == [[0.5]]
    assert tried == ["onnx", "openvino"]


@pytest.mark.usefixtures("empty_cache")
def test_a_damaged_entry_of_the_cache_is_made_again(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = write_model(tmp_path / "good.onnx", is_hostile=False)
    open_model(path, EngineName.ONNX)
    (entry,) = (trial.cache_dir() / trial.TRIALS_FOLDER).iterdir()
    before = entry.read_bytes()
    entry.write_bytes(b"nothing")
    open_model(path, EngineName.ONNX)
    assert entry.read_bytes() == before
    assert any("damaged" in str(warning.message) for warning in recwarn)


@pytest.mark.usefixtures("empty_cache")
def test_a_trial_that_never_ends_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "slow.onnx", is_hostile=False)
    monkeypatch.setattr(trial, "module_command", lambda _: [sys.executable, "-c", "while True: pass"])
    monkeypatch.setattr(trial, "_WALL_SECONDS", -9)
    with pytest.raises(MedrovError, match="too much time"):
        open_model(path)
