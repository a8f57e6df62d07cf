"""int8 from ranges beside the weights, and the choice of --precision auto."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from detect_fixtures import IMGSZ, noise_image, write_eager_detector
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.engines import cpu_format
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.engines.open_engine import choose_engine
from medrov_cli.core.engines.openvino_streams import OpenVinoStreams
from medrov_cli.core.model.folding import fold_text
from medrov_cli.core.model.graph.detector import GraphForm, OutputForm, TextForm, build_graph
from medrov_cli.core.model.graph.points import ObservedPoints, share_ranges
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.container import load_tensors, sha256_of_tensors
from medrov_cli.core.weights.number_formats import (
    CalibrationImages,
    FormatLoss,
    NumberFormats,
    parse_formats,
    read_formats,
    write_formats,
)
from medrov_cli.core.weights.places import formats_path
from weights_fixtures import unit_rows

TEXT = unit_rows(5, seed=3)
IMAGES = np.stack([noise_image(number, IMGSZ, IMGSZ) for number in range(5)])


def measured(weights: Path) -> NumberFormats:
    """Return the ranges of weights on the images, with losses that are not measured."""
    tensors = load_tensors(weights)
    form = GraphForm(
        TextForm.FOLDED, OutputForm.PARTS, input_hw=(IMGSZ, IMGSZ), batch=1, bytes_in=True, pooled=True
    )
    graph = build_graph(tensors, form, points=ObservedPoints).SerializeToString()
    model = OpenVinoStreams(
        lambda core: core.read_model(graph), None, fold_text(tensors, TEXT).inputs(), bf16=False, streams=1
    )
    names = tuple(
        name for own in model.output_names for name in own if name.startswith(ObservedPoints.PREFIX)
    )
    found = list(model.run(IMAGES, names, lambda parts: np.stack([parts[name].copy() for name in names])))
    low, high = np.stack(found)[..., 0].min(0), np.stack(found)[..., 1].max(0)
    ranges = {
        name.removeprefix(ObservedPoints.PREFIX): (float(min(a, 0)), float(b))
        for name, a, b in zip(names, low, high, strict=True)
    }
    losses = {
        name: FormatLoss(loss, 0.0, "test", 9, IMGSZ) for name, loss in (("bf16", 0.0), ("int8", 0.002))
    }
    about = CalibrationImages("noise", "train", len(IMAGES), IMGSZ)
    return NumberFormats(sha256_of_tensors(weights), share_ranges(ranges), about, losses)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_eager_detector(tmp_path_factory.mktemp("int8") / "eager.safetensors")
    write_formats(path, measured(path))
    return path


@pytest.fixture(scope="module")
def formats(weights: Path) -> NumberFormats:
    found = read_formats(weights)
    assert found is not None
    return found


def opened(weights: Path, precision: Precision, engine: EngineName = EngineName.AUTO) -> Engine:
    runtime = RuntimeSettings("cpu", engine, precision)
    return WeightsFile.read(weights).open(TEXT, runtime, imgsz=IMGSZ, streams=1)


def scores_of(engine: Engine) -> np.ndarray:
    return np.stack([one.scores for one in engine.infer(IMAGES)])


def test_int8_gives_nearly_the_scores_of_fp32(weights: Path) -> None:
    engine = opened(weights, Precision.INT8)
    assert engine.name == "openvino-cpu-int8"
    plain, rounded = scores_of(opened(weights, Precision.FP32)), scores_of(engine)
    sure = np.maximum(plain, rounded) >= 0.05
    assert 1e-6 < np.abs(plain - rounded)[sure].mean() < 0.1
    assert np.corrcoef(plain[sure], rounded[sure])[0, 1] > 0.7  # of random weights on noise
    np.testing.assert_array_equal(scores_of(opened(weights, Precision.INT8)), rounded)  # from the cache


def test_weights_without_ranges_are_refused(weights: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(weights, tmp_path / "alone.safetensors"))
    with pytest.raises(MedrovError) as caught:
        opened(alone, Precision.INT8)
    assert caught.value.code is ErrorCode.USAGE
    assert "--precision int8" in caught.value.message
    assert opened(alone, Precision.AUTO).name == "openvino-cpu"


@pytest.mark.parametrize(
    ("able", "loss", "name"),
    [
        ({"int8", "bf16"}, 0.001, "int8"),
        ({"int8", "bf16"}, 0.0011, "bf16"),
        ({"int8"}, 0.0011, "fp32"),
        ({"bf16"}, 0.0, "bf16"),
        ({"int8", "bf16", "tiles"}, 0.0, "bf16"),
        ({"int8", "tiles"}, 0.0, "int8"),
        (set(), 0.0, "fp32"),
    ],
)
def test_auto_is_the_fastest_format_of_small_loss(
    weights: Path,
    formats: NumberFormats,
    monkeypatch: pytest.MonkeyPatch,
    able: set[str],
    loss: float,
    name: str,
) -> None:
    losses = {**formats.losses, "int8": dataclasses.replace(formats.losses["int8"], map50=loss)}
    monkeypatch.setattr(cpu_format, "read_formats", lambda _: dataclasses.replace(formats, losses=losses))
    monkeypatch.setattr(cpu_format, "multiplies_in_int8", lambda: "int8" in able)
    monkeypatch.setattr(cpu_format, "computes_in_bf16", lambda: "bf16" in able)
    monkeypatch.setattr(cpu_format, "multiplies_bf16_in_tiles", lambda: "tiles" in able)
    assert cpu_format.choose_cpu_format(weights, Precision.AUTO)[0].value == name
    file = WeightsFile.read(weights)
    assert file.choose_precision(RuntimeSettings("cpu", precision=Precision.AUTO)).value == name
    assert file.choose_precision(RuntimeSettings("cpu", precision=Precision.FP32)) is Precision.FP32


@pytest.mark.parametrize("engine", [EngineName.TORCH, EngineName.ONNX])
def test_other_engines_refuse_int8(engine: EngineName) -> None:
    with pytest.raises(MedrovError, match=f"--engine {engine}"):
        choose_engine(RuntimeSettings("cpu", engine, Precision.INT8))


def test_ranges_of_other_tensors_are_not_used(weights: Path, tmp_path: Path) -> None:
    other = write_eager_detector(tmp_path / "other.safetensors", seed=1)
    shutil.copy(formats_path(weights), formats_path(other))
    assert read_formats(other) is None


def test_the_document_is_read_as_it_was_written(formats: NumberFormats) -> None:
    assert parse_formats(formats.to_json(), "a file") == formats


@pytest.mark.parametrize(
    "change",
    [
        {"ranges": {"1": [1, 0]}},
        {"ranges": {"1": [0, 1, 2]}},
        {"ranges": {"1": [True, 2]}},
        {"losses": {"int8": {"map50": 2}}},
        {"schema": "medrov.formats/0"},
        {"calibration": None},
    ],
)
def test_a_wrong_document_is_refused(formats: NumberFormats, change: dict[str, object]) -> None:
    document = json.loads(formats.to_json()) | change
    with pytest.raises(MedrovError) as caught:
        parse_formats(json.dumps(document), "a file")
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT


def test_a_damaged_file_beside_the_weights_is_an_error(weights: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(weights, tmp_path / "copy.safetensors"))
    formats_path(copy).write_bytes(b"\xff{")
    with pytest.raises(MedrovError) as caught:
        opened(copy, Precision.INT8)
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT
