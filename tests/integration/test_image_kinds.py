"""Image kinds from the fit to the record: eval, detect, exported models and the Python interface."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from image_files import write_dicom
from kind_datasets import CT, SMEAR, spotted, striped, write_kind_dataset, write_plain_weights
from medrov_cli import Predictor
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.evaluation.run import run_evaluation
from medrov_cli.core.settings.choices import EngineName, Modality
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.weights.container import load_kinds, load_tensors, verify
from source_folders import Picture, write_source

pytestmark = pytest.mark.slow

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@dataclass(frozen=True)
class Fitted:
    """Files of the fit."""

    data: Path
    plain: Path
    weights: Path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("kinds")
    data, plain, weights = (
        write_kind_dataset(folder),
        write_plain_weights(folder),
        folder / "fitted.safetensors",
    )
    run_evaluation(
        EvaluateSettings(
            data=DatasetSettings(dataset=data, split="val"),
            weights=str(plain),
            bootstrap=0,
            fit=weights,
            runtime=RuntimeSettings(engine=EngineName.OPENVINO, batch=8),
        )
    )
    return Fitted(data, plain, weights)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name, pixels in (
        ("a_stripes", striped(7)),
        ("b_spots", spotted(7)),
        ("c_photograph", load_sample_images().images[0][:300]),
        ("d_pattern", np.repeat((np.indices((96, 96)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8)),
    ):
        (tmp_path / "in").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), pixels[..., ::-1])
    return tmp_path / "in"


def records(medrov: Any, *arguments: object) -> list[dict[str, Any]]:
    done = medrov("detect", *arguments, "--conf", 0.01, "--raw-scores", "--format", "jsonl")
    assert done.exit_code == 0, done.stderr
    schema = json.loads((SCHEMAS / "medrov.detect-1.schema.json").read_text(encoding="utf-8"))
    for line in done.lines:
        jsonschema.Draft202012Validator(schema).validate(line)
    return list(done.lines)


def found_classes(record: dict[str, Any]) -> set[str]:
    return {found["class"] for found in record["detections"]}


def test_fit_writes_the_kinds_of_the_dataset(fitted: Fitted) -> None:
    classifier = load_kinds(fitted.weights)
    assert classifier is not None
    shown = {kind.name: (kind.modality, kind.classes) for kind in classifier.info.kinds}
    assert shown == {
        CT: (Modality.CT, ("lung nodule",)),
        SMEAR: (Modality.MICROSCOPY, ("red blood cell",)),
    }
    assert verify(fitted.weights).metadata.kinds == classifier.info
    sizes = [array.nbytes for array in classifier.tensors.as_arrays().values()]
    assert 0 < sum(sizes) <= 1_000_000
    old, new = load_tensors(fitted.plain), load_tensors(fitted.weights)
    assert all((new[name] == tensor).all() for name, tensor in old.items())
    assert load_kinds(fitted.plain) is None


def test_weights_show_names_the_kinds(medrov: Any, fitted: Fitted) -> None:
    table = medrov("weights", "show", fitted.weights)
    lines = dict(line.split(maxsplit=2)[1:] for line in table.stdout.splitlines() if line.startswith("image"))
    assert f"{CT} (CT)" in lines["kinds"]
    assert "image kinds" not in medrov("weights", "show", fitted.plain).stdout


def test_detect_without_classes_searches_those_of_the_kind(medrov: Any, fitted: Fitted, images: Path) -> None:
    stripes, spots, *rest = records(medrov, images, "--weights", fitted.weights)
    assert (stripes["image_kind"], stripes["modality"]) == (CT, "CT")
    assert (spots["image_kind"], spots["modality"]) == (SMEAR, "microscopy")
    assert stripes["modality_source"] == spots["modality_source"] == "image_kind"
    assert stripes["image_kind_probability"] > 0.5
    assert found_classes(stripes) == {"lung nodule"}  # polyp: its modality in the weights is endoscopy
    assert found_classes(spots) == {"red blood cell"}
    assert len(rest) == 2
    for unknown in rest:
        assert (unknown["image_kind"], unknown["image_kind_probability"]) == ("unknown", None)
        assert (unknown["modality"], unknown["modality_source"]) == (None, None)
        assert unknown["detections"] == []
        (warning,) = unknown["warnings"]
        assert warning.startswith("image_kind_unknown: ")


def test_a_stated_modality_is_searched_where_the_kind_is_unknown(
    medrov: Any, fitted: Fitted, tmp_path: Path
) -> None:
    pattern = (np.indices((96, 96)).sum(0) % 2 * 255).astype(np.uint8)
    write_dicom(tmp_path / "unknown.dcm", pattern, Modality="SM")
    (record,) = records(medrov, tmp_path / "unknown.dcm", "--weights", fitted.weights)
    assert record["image_kind"] == "unknown"
    assert (record["modality"], record["modality_source"]) == ("histopathology", "dicom")
    assert record["warnings"][-1].endswith(
        "without --classes the classes of histopathology are searched in it"
    )


def test_detect_with_classes_searches_all_with_a_warning(medrov: Any, fitted: Fitted, images: Path) -> None:
    options = ("--weights", fitted.weights, "--classes", "lung nodule,red blood cell,spoon")
    stripes, spots, page, _ = records(medrov, images, *options)
    assert stripes["warnings"] == [f"requested, but not expected in {CT}: 'red blood cell'"]
    assert spots["warnings"] == [f"requested, but not expected in {SMEAR}: 'lung nodule'"]
    assert found_classes(stripes) == {"lung nodule", "red blood cell", "spoon"}
    assert page["image_kind"] == "unknown"
    assert [warning.split(":")[0] for warning in page["warnings"]] == ["image_kind_unknown"]
    assert page["detections"]


def test_detect_with_weights_without_kinds_is_as_before(medrov: Any, fitted: Fitted, images: Path) -> None:
    for record in records(medrov, images, "--weights", fitted.plain):
        assert (record["image_kind"], record["image_kind_probability"]) == (None, None)
        assert (record["modality"], record["warnings"]) == (None, [])
        assert found_classes(record) == {"lung nodule", "polyp", "red blood cell"}


def test_a_dicom_header_states_the_modality(medrov: Any, fitted: Fitted, tmp_path: Path) -> None:
    write_dicom(
        tmp_path / "ct.dcm",
        striped(11)[..., 0].astype(np.int16),
        Modality="CT",
        WindowCenter=127.5,
        WindowWidth=255,
    )
    (ct,) = records(medrov, tmp_path / "ct.dcm", "--weights", fitted.weights)
    assert (ct["modality"], ct["modality_source"], ct["image_kind"]) == ("CT", "dicom", CT)
    assert ct["warnings"] == []


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_all_engines_give_one_kind(medrov: Any, fitted: Fitted, images: Path, engine: str) -> None:
    options = (images, "--weights", fitted.weights, "--engine")
    for own, other in zip(
        records(medrov, *options, "openvino"), records(medrov, *options, engine), strict=True
    ):
        assert own["image_kind"] == other["image_kind"]
        assert own["image_kind_probability"] == pytest.approx(other["image_kind_probability"], abs=1e-3)


@pytest.mark.parametrize(("to", "more"), [("onnx", ()), ("openvino", ("--nms",))])
def test_exported_models_carry_the_kinds(
    medrov: Any, fitted: Fitted, images: Path, tmp_path: Path, to: str, more: tuple[str, ...]
) -> None:
    output = tmp_path / ("model.onnx" if to == "onnx" else "model")
    options = ("--weights", fitted.weights, "--to", to, "--output", output, *more)
    boxes = [Picture("val", [("lung nodule", 5.0 + row % 7, 4.0, 20.0, 30.0)]) for row in range(64)]
    write_source(tmp_path / "noise", boxes, ["lung nodule"])
    (tmp_path / "noise.yaml").write_text("sources: [noise]\n")
    options += ("--data", tmp_path / "noise.yaml", "--images", 64)
    done = medrov("export", *options, "--json")
    assert done.exit_code == 0, done.stderr
    assert "pooled" in done.json["outputs"]
    model = output if to == "onnx" else output / "model.xml"
    expected = records(medrov, images, "--weights", fitted.weights)
    for own, other in zip(expected, records(medrov, images, "--weights", model), strict=True):
        for key in ("image_kind", "modality", "modality_source", "warnings"):
            assert own[key] == other[key]
    tensors = load_kinds(fitted.weights)
    from medrov_cli.core.prediction.model_file import read_model_file

    carried = read_model_file(model).kinds
    assert tensors is not None
    assert carried is not None
    for name, array in tensors.tensors.as_arrays().items():
        np.testing.assert_array_equal(carried.tensors.as_arrays()[name], array)


def test_torchscript_has_the_pooled_features(medrov: Any, fitted: Fitted, tmp_path: Path) -> None:
    import torch

    from medrov_cli.core.model.loading import load_network

    output = tmp_path / "model.torchscript"
    done = medrov("export", "--weights", fitted.weights, "--to", "torchscript", "--output", output, "--json")
    assert done.exit_code == 0, done.stderr
    slots = {"medrov.kinds": ""}
    module = torch.jit.load(output, _extra_files=slots)
    pixels = torch.from_numpy(np.stack([striped(3)[:96, :96]])).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        *_, pooled = module(pixels)
        stages = load_network(fitted.weights).stages(pixels)
    means = np.concatenate([stage.numpy().reshape(stage.shape[1], -1).mean(1) for stage in stages])
    np.testing.assert_allclose(pooled[0, : len(means)].numpy(), means, atol=1e-4)
    assert slots["medrov.kinds"]


def test_eval_reports_the_accuracy_of_kinds(medrov: Any, fitted: Fitted, tmp_path: Path) -> None:
    options = ("--weights", fitted.weights, "--split", "test", "--bootstrap", 0, "--batch", 8)
    done = medrov("eval", fitted.data, *options, "--output", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    schema = json.loads((SCHEMAS / "medrov.eval-1.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(done.json)
    section = done.json["kinds"]
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[1:]
    kinds = [json.loads(line)["kind"]["name"] for line in lines]
    right = [name == (CT if row < 8 else SMEAR) for row, name in enumerate(kinds)]
    assert section["images"] == len(right) == 16
    assert section["kind_accuracy"] == pytest.approx(np.mean(right))
    assert section["kind_accuracy"] >= 0.9
    assert section["unknown"] == kinds.count("unknown")
    points = done.json["operating_points"]["classes"]
    shown = 0
    for row, line in enumerate(map(json.loads, lines)):
        name = "lung nodule" if row >= 8 else "red blood cell"  # impossible in the image
        allows = line["kind"]["name"] == (CT if row >= 8 else SMEAR)
        label = ("lung nodule", "red blood cell").index(name)
        rows = zip(line["labels"], line["scores"], strict=True)
        shown += allows * sum(own == label and score >= points[name]["threshold"] for own, score in rows)
    assert section["impossible_per_image"] == pytest.approx(shown / 16)
    assert section["searched_classes"] == 2
    assert set(section["kinds"]) == {CT, SMEAR}
    assert sum(entry["images"] for entry in section["confused"]) == right.count(False)


def test_eval_without_kinds_has_no_section(medrov: Any, fitted: Fitted, tmp_path: Path) -> None:
    options = ("--split", "val", "--bootstrap", 0, "--batch", 8, "--json")
    assert medrov("eval", fitted.data, "--weights", fitted.plain, *options).json["kinds"] is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("source,sort\nspots,smear\n", "no column 'kind'"),
        ("source,kind\nspots,smear\n", "no kind for the source 'stripes'"),
        ("source,kind\nspots,smear\nstripes,unknown\n", "no kind for the source 'stripes'"),
        ("source,kind\nspots,smear\nspots,film\nstripes,film\n", "'spots' is listed twice"),
        ("source,kind\nspots,same\nstripes,same\n", "has sources of CT and microscopy"),
    ],
)
def test_a_wrong_table_of_kinds_is_refused(fitted: Fitted, tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "kinds.csv").write_text(table)
    path = tmp_path / "data.yaml"
    path.write_text("sources: [stripes, spots]\nkinds: kinds.csv\n")
    with pytest.raises(MedrovError, match=message):
        load_dataset(path, fitted.data.parent)


def test_the_yaml_states_kinds_by_source(fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("sources: [{path: stripes, kind: film}, {path: spots, kind: smear}]\n")
    dataset = load_dataset(path, fitted.data.parent)
    assert dataset.kinds == ("film", "smear")
    assert [(kind.name, kind.classes) for kind in dataset.kind_entries] == [
        ("film", ("lung nodule",)),
        ("smear", ("red blood cell",)),
    ]


def test_damaged_kinds_are_refused(fitted: Fitted, tmp_path: Path) -> None:
    from medrov_cli.core.weights.container import read_metadata, save

    tensors = load_tensors(fitted.weights)
    del tensors["kinds.weight"]
    save(tmp_path / "damaged.safetensors", tensors, read_metadata(fitted.weights))
    with pytest.raises(MedrovError, match="'weight' of the classifier of kinds is missing"):
        Predictor.open(tmp_path / "damaged.safetensors", selection=SelectionSettings())
