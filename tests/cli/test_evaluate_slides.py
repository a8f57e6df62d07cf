"""``medrov eval`` on slides: only what lies in annotated regions counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from conftest import Medrov
from dicom_results import detection, record_of, write_results
from drawn_shapes import CLASSES, draw, exact_engine
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.column_engine import ColumnEngine
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.prediction.open_predictor import PredictorParts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.scoring import Scoring
from slide_files import write_dicom_slide, write_svs

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "medrov.eval-1.schema.json").read_text(encoding="utf-8")
)
BOXES = [
    (20 + 60 * column, 20 + 50 * row, 30 + 60 * column, 32 + 50 * row)
    for row in range(4)
    for column in range(6)
]
NAMES = tuple(f"class {number}" for number in range(CLASSES))
QUICK = ("--bootstrap", "0", "--device", "cpu")


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Search with an engine that finds drawn shapes, in a folder of its own."""

    def open_model(self: DatasetModel, names: Any, selection: Any, *, tiles: Any = None) -> Predictor:
        assert [*self.classes] == [own[0] for own in names]
        parts = PredictorParts(
            ColumnEngine(exact_engine(64), [NAMES.index(name) for name in self.classes]),
            ClassList.from_embeddings(self.classes),
            Scoring(np.full(CLASSES, 0.25)),
            selection,
            batch=4,
            tiles=tiles,
        )
        return Predictor(parts)

    monkeypatch.setattr(DatasetModel, "open", open_model)
    monkeypatch.chdir(tmp_path)


def feature(name: str, corners: list[tuple[float, float]]) -> dict[str, Any]:
    ring = [list(corner) for corner in (*corners, corners[0])]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


def corners(box: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    x1, y1, x2, y2 = box
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def class_of(number: int) -> str:
    return NAMES[(number + 1) % CLASSES]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a yaml with a slide of 400 x 600 pixels, its objects, and two regions."""
    image = draw(400, 600, BOXES)
    image[(image == 255).all(2)] = (240, 170, 210)
    (tmp_path / "cases").mkdir()
    write_svs(tmp_path / "cases" / "a.svs", image, mpp=0.36)  # the scale of slides: a tile has 64 pixels
    objects = [feature(class_of(number), corners(box)) for number, box in enumerate(BOXES)]
    del objects[7]  # an object of the first region that nobody annotated
    features = [
        *objects,
        feature("Region*", corners((0, 0, 147, 100))),  # its right edge cuts two objects behind their centre
        feature("region*", [(180, 100), (400, 100), (180, 320)]),
        feature("Ignore*", corners((5, 5, 15, 15))),  # no class
    ]
    (tmp_path / "cases" / "a.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features})
    )
    path = tmp_path / "data.yaml"
    path.write_text(
        "name: toy\nsources:\n- {path: cases, slides: geojson, modality: histopathology, licence: CC0}\n"
    )
    return path


def in_first(box: tuple[float, ...]) -> bool:
    return (box[0] + box[2]) / 2 < 147 and (box[1] + box[3]) / 2 < 100


def in_second(box: tuple[float, ...]) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return x >= 180 and y >= 100 and x - 180 + y - 100 < 220


@pytest.mark.slow
def test_regions_are_scored_by_the_centres_of_objects(medrov: Medrov, dataset: Path) -> None:
    found = medrov("eval", dataset, "--output", "out", "--verify", "--json", *QUICK)
    assert found.exit_code == 0, found.stderr
    report = json.loads(found.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(report)
    assert report["dataset"]["images"] == 2
    first, second = (sum(map(rule, BOXES)) for rule in (in_first, in_second))
    assert (first, second) == (6, 5)
    assert report["dataset"]["boxes"] == first - 1 + second
    assert report["coco"]["difference_from_pycocotools"] < 1e-9
    one, two = report["regions"]["regions"]
    assert one["image"] == "cases/images/a.svs#0,0,147,100"
    assert two["image"] == "cases/images/a.svs#180,100,220,220"
    assert sum(own["counted"] for own in one["counts"].values()) == first
    assert sum(own["truths"] for own in one["counts"].values()) == first - 1
    assert sum(own["counted"] for own in two["counts"].values()) == second
    assert sum(own["truths"] for own in two["counts"].values()) == second
    wrong = class_of(7)
    classes = report["regions"]["classes"]
    assert {name: own["mean_error"] for name, own in classes.items()} == {
        name: 0.5 if name == wrong else 0 for name in classes
    }
    aps = {name: own["ap50"] for name, own in report["coco"]["plain"]["classes"].items()}
    assert all(ap == pytest.approx(1) for name, ap in aps.items() if name != wrong)
    page = Path("out/report.html").read_text()
    assert "Counts in regions" in page
    assert "data:image/jpeg" in page  # the false positive, out of the slide
    document = json.loads(Path("out/predictions.json").read_text())
    assert min(own["bbox"][0] for own in document["annotations"] if own["image_id"] == 2) < 30


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on(medrov: Medrov, dataset: Path) -> None:
    assert medrov("eval", dataset, "--output", "whole", *QUICK).exit_code == 0
    Path("out").mkdir()
    journal = Path("whole/predictions.jsonl").read_text()
    Path("out/.predictions.jsonl.partial").write_text(journal)
    assert medrov("eval", dataset, "--output", "out", "--resume", *QUICK).exit_code == 0
    assert Path("out/predictions.jsonl").read_text() == journal


def test_a_slide_without_regions_is_one_region(medrov: Medrov, dataset: Path) -> None:
    path = Path("cases/a.geojson")
    document = json.loads(path.read_text())
    document["features"] = [
        own for own in document["features"] if own["properties"]["classification"]["name"].startswith("class")
    ]
    path.write_text(json.dumps(document))
    report = json.loads(medrov("eval", dataset, "--json", *QUICK).stdout)
    assert report["dataset"]["images"] == 1
    assert sum(own["counted"] for own in report["regions"]["classes"].values()) == len(BOXES)


def test_dicom_annotations_are_truth(medrov: Medrov, dataset: Path, tmp_path: Path) -> None:
    image = draw(100, 150, BOXES[:2])
    slide = write_dicom_slide(tmp_path / "dicom", image)[0]
    rows = [detection(class_of(number), 0.5, *box) for number, box in enumerate(BOXES[:2])]
    write_results(tmp_path, [record_of(slide, *rows)], "ann")
    text = "sources:\n- {path: ann, images: dicom, slides: ann, modality: histopathology, split: val}\n"
    dataset.write_text(text + "- {path: cases, slides: geojson, modality: histopathology}\n")
    (sample,) = load_dataset(dataset, slides=True).samples["val"]
    np.testing.assert_allclose(sample.boxes_xyxy, BOXES[:2], atol=0.01)
    assert (sample.height, sample.width) == (100, 150)


def test_an_image_that_is_no_slide_has_regions(medrov: Medrov, dataset: Path) -> None:
    Path("cases/a.svs").unlink()
    image = draw(64, 64, [(5, 5, 15, 15), (40, 40, 50, 50)])
    cv2.imwrite("cases/a.png", image[..., ::-1])
    features = [feature(NAMES[1], corners((5, 5, 15, 15))), feature(NAMES[0], corners((30, 0, 31, 1)))]
    features += [feature(NAMES[2], corners((60, 0, 61, 1))), feature("Region*", corners((0, 0, 30, 30)))]
    Path("cases/a.geojson").write_text(json.dumps(features))
    report = json.loads(medrov("eval", dataset, "--json", *QUICK).stdout)
    assert report["regions"]["classes"][NAMES[1]]["counted"] == 1
    assert len(report["regions"]["classes"]) == 1


def test_regions_have_the_name_that_the_yaml_states(medrov: Medrov, dataset: Path) -> None:
    dataset.write_text(dataset.read_text().replace("licence", "regions: class 0, licence"))
    samples = load_dataset(dataset, slides=True).samples["test"]
    assert len(samples) == len(BOXES) // CLASSES


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("slides: geojson", "slides: svg"), "geojson or ann"),
        (("modality: histopathology", "split: test"), "modality"),
        (("licence: CC0", "split: all"), "split"),
        (("licence: CC0", "mpp: big"), "mpp"),
        (("path: cases", "path: none"), "none"),
    ],
)
def test_entries_that_make_no_sense_are_refused(
    medrov: Medrov, dataset: Path, change: tuple[str, str], told: str
) -> None:
    dataset.write_text(dataset.read_text().replace(*change))
    found = medrov("eval", dataset, *QUICK)
    assert found.exit_code == 4
    assert told in found.stderr


def test_damaged_annotations_name_their_file(medrov: Medrov, dataset: Path) -> None:
    Path("cases/a.geojson").write_text("{}")
    found = medrov("eval", dataset, *QUICK)
    assert found.exit_code == 4
    assert "a.geojson" in found.stderr


def test_other_commands_refuse_slides(medrov: Medrov, dataset: Path) -> None:
    found = medrov("train", dataset, "--output", "run")
    assert found.exit_code == 4
    assert "data convert" in found.stderr
