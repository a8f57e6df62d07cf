"""Decisions on detections (the page of ``detect --format html``) as a dataset, by ``pseudolabel apply``."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import Medrov
from detect_fixtures import write_eager_detector, write_images
from dicom_objects import Grid, write_series
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.weights.learned_file import read_learned


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def run(weights: Path, run_medrov_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Detect in two CT slices and one PNG image; return the folder with ``in`` and ``out``."""
    folder = tmp_path_factory.mktemp("run")
    write_series(folder / "in", 2, Grid(size=(48, 64)))
    write_images(folder / "in", 1)
    run_medrov_once(
        "detect", folder / "in", "--weights", weights, "--conf", "0.3", "--max-det", 3, "-o", folder / "out",
        "--device", "cpu",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def run_medrov_once() -> Any:
    """Return a function that runs the command line in this process."""
    from medrov_cli import cli

    def run(*arguments: object) -> None:
        assert cli.run([str(argument) for argument in arguments]) == 0

    return run


def records_of(run: Path) -> list[dict[str, Any]]:
    lines = (run / "out" / "detections.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if "detections" in record]


def decisions_of(run: Path, *made: tuple[int, int, dict[str, Any]]) -> dict[str, Any]:
    """Return a document of decisions: number of the record, number of the detection, decision."""
    records = records_of(run)
    return {
        "schema": "medrov.detect-decisions/1",
        "records": hashlib.sha256((run / "out" / "detections.jsonl").read_bytes()).hexdigest(),
        "decisions": [
            {"path": records[row]["path"], "frame": records[row]["frame"], "detection": number, **decision}
            for row, number, decision in made
        ],
    }


def apply(medrov: Medrov, run: Path, document: Any, output: Path, *options: object) -> Any:
    file = output.with_suffix(".json")
    file.write_text(json.dumps(document))
    return medrov("pseudolabel", "apply", file, "--labels", run / "out", "-o", output, "--json", *options)


def test_images_with_decisions_become_a_dataset(medrov: Medrov, run: Path, tmp_path: Path) -> None:
    records = records_of(run)
    slices = [row for row, record in enumerate(records) if record["modality"] == "CT"]
    (png,) = (row for row, record in enumerate(records) if record["modality"] is None)
    first = records[slices[0]]["detections"]
    assert len(slices) == 2
    assert len(first) == 3
    other = next(name for name in ("polyp", "red blood cell") if name != first[1]["class"])
    document = decisions_of(
        run,
        (slices[0], 0, {"decision": "accept"}),
        (slices[0], 1, {"decision": "relabel", "class": other}),
        (slices[0], 2, {"decision": "reject"}),
        (png, 0, {"decision": "accept"}),
    )
    done = apply(medrov, run, document, tmp_path / "new")
    assert done.exit_code == 0, done.stderr
    assert done.json["sources"] == {"ct": {"accepted": 1, "rejected": 1, "relabelled": 1, "undecided": 0}}
    (left,) = done.json["left_out"]
    assert left["path"] == records[png]["path"]
    assert "--modality" in left["reason"]
    dataset = load_dataset(tmp_path / "new" / "dataset.yaml")
    (sample,) = dataset.samples["train"]
    assert sample.height, sample.width == (48, 64)
    assert [dataset.classes[label] for label in sample.labels] == [first[0]["class"], other]
    np.testing.assert_allclose(sample.boxes_xyxy, [row["box_xyxy"] for row in first[:2]], atol=0.011)
    assert not (dataset.presence == 1).any()  # no class is annotated completely
    content = json.loads((tmp_path / "new" / "ct" / "annotations.json").read_text())
    assert [a["reviewed"] for a in content["annotations"]] == [True, True]
    assert content["annotations"][1]["was"] == first[1]["class"]
    assert content["images"][0]["path"] == records[slices[0]]["path"]
    stated = apply(medrov, run, document, tmp_path / "both", "--modality", "endoscopy")
    assert set(stated.json["sources"]) == {"ct", "endoscopy"}
    assert stated.json["left_out"] == []
    exact = cv2.imread(str(tmp_path / "both" / "endoscopy" / "images" / "000001.png"))
    np.testing.assert_array_equal(exact, cv2.imread(records[png]["path"]))


@pytest.mark.parametrize("form", ["coco", "cvat", "label-studio"])
def test_the_dataset_is_exported_to_other_programs(
    medrov: Medrov, run: Path, tmp_path: Path, form: str
) -> None:
    document = decisions_of(run, (0, 0, {"decision": "accept"}))
    assert apply(medrov, run, document, tmp_path / "new", "--modality", "CT").exit_code == 0
    done = medrov(
        "data", "export", tmp_path / "new" / "dataset.yaml", "--to", form, "-o", tmp_path / "o", "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert (done.json["images"], done.json["boxes"]) == (1, 3)


def test_the_dataset_teaches_classes(medrov: Medrov, run: Path, weights: Path, tmp_path: Path) -> None:
    accepted = [
        (row, number, {"decision": "accept"})
        for row, record in enumerate(records_of(run))
        for number in range(len(record["detections"]))
    ]
    document = decisions_of(run, *accepted)
    assert apply(medrov, run, document, tmp_path / "new", "--modality", "CT").exit_code == 0
    options = ("--weights", weights, "--device", "cpu", "--folds", 2, "--output", tmp_path / "c.safetensors")
    done = medrov("learn", tmp_path / "new" / "dataset.yaml", *options, "--json")
    assert done.exit_code == 0, done.stderr
    names = {row["class"] for record in records_of(run) for row in record["detections"]}
    assert set(read_learned(tmp_path / "c.safetensors").names) <= names


def test_a_changed_image_is_left_out(medrov: Medrov, run: Path, tmp_path: Path) -> None:
    (png,) = (row for row, record in enumerate(records_of(run)) if record["modality"] is None)
    path = Path(records_of(run)[png]["path"])
    before = path.read_bytes()
    document = decisions_of(
        run, (png, 0, {"decision": "accept"}), (0 if png else 1, 0, {"decision": "reject"})
    )
    try:
        path.write_bytes(cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes())
        done = apply(medrov, run, document, tmp_path / "new", "--modality", "endoscopy")
    finally:
        path.write_bytes(before)
    assert [item["reason"] for item in done.json["left_out"]] == ["its size has changed since the run"]
    assert list(done.json["sources"]) == ["ct"]


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        ({"decision": "perhaps"}, "is not a file of decisions"),
        ({"decision": "relabel"}, "is not a file of decisions"),
        ({"decision": "relabel", "class": "a class that was not searched"}, "is no class of the run"),
        ({"decision": "accept", "detection": 99}, "has no detection 99"),
        ({"decision": "accept", "detection": True}, "is not a file of decisions"),
        ({"decision": "accept", "path": "another.png"}, "is no image of the run"),
    ],
)
def test_decisions_that_cannot_be(
    medrov: Medrov, run: Path, tmp_path: Path, decision: dict[str, Any], message: str
) -> None:
    done = apply(medrov, run, decisions_of(run, (0, 0, decision)), tmp_path / "new")
    assert done.exit_code == 4
    assert done.json["error"]["code"] == "dataset_invalid"
    assert message in done.json["error"]["message"]
    assert not (tmp_path / "new" / "manifest.json").exists()


def test_decisions_on_another_run(medrov: Medrov, run: Path, tmp_path: Path) -> None:
    document = decisions_of(run, (0, 0, {"decision": "accept"})) | {"records": "0" * 64}
    done = apply(medrov, run, document, tmp_path / "new")
    assert "does not belong to the run" in done.json["error"]["message"]
    shutil.copytree(run / "out", tmp_path / "other" / "out")
    (tmp_path / "other" / "out" / "run.json").unlink()
    done = apply(medrov, tmp_path / "other", document, tmp_path / "new")
    assert "contains no complete run" in done.json["error"]["message"]
