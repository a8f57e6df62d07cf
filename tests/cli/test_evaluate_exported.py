"""``medrov eval`` of exported models: judged as the weights are, or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conftest import ROOT, Medrov
from detect_fixtures import IMGSZ
from export_fixtures import CLASSES, IMAGES, Workshop, make_workshop
from medrov_cli.core.evaluation.run import run_evaluation
from medrov_cli.core.exporting.differences import LIMITS, ParityLimits
from medrov_cli.core.settings.choices import ExportPrecision
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.io_groups import DatasetSettings, OutputSettings
from medrov_cli.core.settings.values import parse_classes
from medrov_cli.core.weights.container import sha256_of

pytestmark = pytest.mark.slow

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "medrov.eval-1.schema.json").read_text(encoding="utf-8"))

FOLDED = {"classes": parse_classes("lung nodule, polyp, red blood cell/erythrocyte")}
"""The vocabulary's own embeddings are random numbers in these weights."""

QUICK = ("--split", "val", "--bootstrap", 0, "--device", "cpu", "--json")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDROV_CACHE", str(tmp_path_factory.mktemp("cache")))
        for precision in (ExportPrecision.FP32, ExportPrecision.INT8):
            # A network of random weights is far more sensitive than a trained one.
            patch.setitem(LIMITS, precision, ParityLimits(None, 0.2, None, 20.0, 1.0, 1.0))
        yield make_workshop(tmp_path_factory)


@pytest.fixture(scope="module")
def known(workshop: Workshop) -> Path:
    """Return a dataset whose truth is what the weights find: the surest box of each class on each image."""
    folder = workshop.folder / "found"
    noise = write_yaml(workshop, "noise", CLASSES)
    run_evaluation(
        EvaluateSettings(
            data=DatasetSettings(dataset=noise, split="val"),
            weights=str(workshop.weights),
            output=OutputSettings(folder=folder),
            bootstrap=0,
        )
    )
    found = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    names = {own["id"]: own["name"] for own in found["categories"]}
    files = {own["id"]: own["file_name"].rpartition("/")[2] for own in found["images"]}
    surest: dict[tuple[str, str], list[float]] = {}
    for own in sorted(found["annotations"], key=lambda own: float(own["score"])):
        surest[files[own["image_id"]], names[own["category_id"]]] = own["bbox"]
    return write_dataset(workshop, "known", CLASSES, surest)


def write_dataset(
    workshop: Workshop, name: str, classes: list[str], boxes: dict[tuple[str, str], list[float]]
) -> Path:
    """Write the workshop's images with other boxes (x, y, width, height), by file and class."""
    source = json.loads((workshop.folder / "noise" / "annotations.json").read_text(encoding="utf-8"))
    images = {own["file_name"]: own["id"] for own in source["images"]}
    source["categories"] = [{"id": number, "name": own} for number, own in enumerate(classes, start=1)]
    source["annotations"] = [
        {"id": n, "image_id": images[file], "category_id": classes.index(own) + 1, "bbox": box, "iscrowd": 0}
        for n, ((file, own), box) in enumerate(boxes.items(), start=1)
    ]
    (workshop.folder / name).mkdir()
    (workshop.folder / name / "annotations.json").write_text(json.dumps(source), encoding="utf-8")
    (workshop.folder / name / "images").symlink_to(workshop.folder / "noise" / "images")
    return write_yaml(workshop, name, classes)


def write_yaml(workshop: Workshop, name: str, classes: list[str]) -> Path:
    """Write the file of a dataset whose classes have the names that are worked into the exports."""
    path = workshop.folder / f"{name}.yaml"
    lines = "".join(f"  {own}: {'erythrocyte' if 'blood' in own else own}\n" for own in classes)
    path.write_text(f"name: {name}\nsources: [{name}]\nclasses:\n{lines}", encoding="utf-8")
    return path


@pytest.fixture
def judge(medrov: Medrov, known: Path) -> Any:
    def run(model: Path, *options: object, code: int = 0, data: Path = known) -> dict[str, Any]:
        done = medrov("eval", data, "--weights", model, *QUICK, *options)
        assert done.exit_code == code, done.stderr
        return dict(done.json)

    return run


def ap_of_classes(report: dict[str, Any]) -> dict[str, float]:
    return {name: own["ap50"] for name, own in report["coco"]["presence"]["classes"].items()}


@pytest.mark.parametrize(
    ("to", "engine", "settings"),
    [
        ("onnx", "onnx", FOLDED),
        ("onnx", "openvino", FOLDED),
        ("openvino", "openvino", FOLDED),
        ("openvino", "openvino", {"is_open": True, "dynamic": True}),
    ],
    ids=["onnx", "onnx by openvino", "openvino", "open"],
)
def test_it_is_as_good_as_the_weights(
    judge: Any, workshop: Workshop, to: str, engine: str, settings: dict[str, Any]
) -> None:
    made = workshop.export(to, **settings).output
    report = judge(made, "--engine", engine)
    jsonschema.validate(report, SCHEMA)
    expected = judge(workshop.weights, "--engine", "torch")
    assert expected["model"]["engine"] == "torch"
    assert expected["model"]["exported"] is None
    assert report["model"] == {
        **expected["model"],
        "engine": engine,
        "sha256": sha256_of(made / "model.xml" if made.is_dir() else made),
        "exported": {"format": to, "precision": "fp32", "weights_sha256": expected["model"]["sha256"]},
    }
    assert min(ap_of_classes(expected).values()) > 0.05
    assert ap_of_classes(report) == pytest.approx(ap_of_classes(expected), abs=0.01)
    assert report["calibration"]["scores"] == expected["calibration"]["scores"] == "calibrated"
    assert report["operating_points"]["origin"] == expected["operating_points"]["origin"]


def test_int8_beside_the_weights(judge: Any, workshop: Workshop, tmp_path: Path) -> None:
    judge(workshop.weights, "--output", tmp_path / "fp32")
    model = workshop.export("openvino", "int8").output
    report = judge(model, "--compare", tmp_path / "fp32" / "report.json", "--bootstrap", 20)
    assert report["model"]["exported"]["precision"] == "int8"
    assert report["comparison"]["metrics"]["mAP50"]["difference"] != 0
    assert report["comparison"]["metrics"]["mAP50"]["interval"]


def test_an_open_model_takes_other_names(judge: Any, workshop: Workshop) -> None:
    report = judge(workshop.export("onnx", is_open=True).output, "--synonyms")
    by_name = report["synonyms"]["classes"]["red blood cell"]["names"]
    assert by_name["red blood cell"] != by_name["erythrocyte"]


def test_classes_are_found_by_name_whatever_their_order(judge: Any, workshop: Workshop, known: Path) -> None:
    expected = ap_of_classes(judge(workshop.export("onnx").output))
    source = json.loads((workshop.folder / "known" / "annotations.json").read_text(encoding="utf-8"))
    files = {own["id"]: own["file_name"] for own in source["images"]}
    turned = [CLASSES[2], CLASSES[0].upper(), CLASSES[1], "pancreas"]
    upper = {own.lower(): own for own in turned}
    boxes = {
        (files[own["image_id"]], upper[CLASSES[own["category_id"] - 1]]): own["bbox"]
        for own in source["annotations"]
    }
    report = judge(workshop.export("onnx").output, data=write_dataset(workshop, "turned", turned, boxes))
    found = {name.lower(): ap for name, ap in ap_of_classes(report).items()}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert report["warnings"] == ["model.onnx does not have pancreas: they count as not found"]


def test_a_suppression_inside_is_said(judge: Any, workshop: Workshop) -> None:
    report = judge(workshop.export("onnx", nms=True).output)
    assert "contains suppression" in report["warnings"][0]
    whole = judge(workshop.export("onnx").output)
    assert 0 < report["predictions"]["detections"] < whole["predictions"]["detections"]


def test_resume_goes_on_with_the_same_model_alone(judge: Any, workshop: Workshop, tmp_path: Path) -> None:
    folded, is_open = workshop.export("onnx").output, workshop.export("onnx", is_open=True).output
    first = judge(folded, "--output", tmp_path / "out")
    assert judge(folded, "--output", tmp_path / "out", "--resume") == first
    refused = judge(is_open, "--output", tmp_path / "out", "--resume", code=2)
    assert "another weights" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fit", "fitted.safetensors"), "--fit"),
        (("--synonyms",), "--synonyms"),
        (("--text-encoder", "local-dir:clip"), "--text-encoder"),
        (("--imgsz", IMGSZ * 2), "--imgsz"),
        (("--engine", "torch"), "--engine torch"),
    ],
)
def test_refusals(judge: Any, workshop: Workshop, options: tuple[Any, ...], says: str) -> None:
    refused = judge(workshop.export("onnx").output, *options, code=2)
    assert says in refused["error"]["message"]
    assert refused["error"]["hint"]


def test_a_model_of_other_classes(judge: Any, workshop: Workshop) -> None:
    box = {("001.png", "one"): [1.0, 2.0, 20.0, 20.0]}
    data = write_dataset(workshop, "others", ["one", "two"], box)
    refused = judge(workshop.export("onnx").output, code=2, data=data)
    assert "no class of others" in refused["error"]["message"]


def test_a_torchscript_is_no_detector(judge: Any, workshop: Workshop) -> None:
    refused = judge(workshop.export("torchscript").output, code=5)
    assert refused["error"]["code"] == "weights_corrupt"


def test_every_image_is_looked_at(judge: Any, workshop: Workshop) -> None:
    assert judge(workshop.export("onnx").output)["dataset"]["images"] == IMAGES
