"""``medrov data export`` in both modes, with every exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Medrov
from training_data import make_source

CLASSES = ["left lung", "right lung"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a source of 19 images with a box each: 8 train, 10 val, 1 test."""
    make_source(tmp_path, "chest", "x-ray", CLASSES)
    return tmp_path / "chest"


def test_a_source_for_people_and_back(medrov: Medrov, source: Path, tmp_path: Path) -> None:
    for to in ("coco", "yolo", "voc", "label-studio", "cvat"):
        done = medrov("data", "export", source, "--to", to, "--output", tmp_path / to)
        assert done.exit_code == 0
        assert "warning" not in done.stderr
        assert "19 images, 19 boxes, 2 classes" in done.stdout
        back = medrov(
            "data", "convert", tmp_path / to, "--from", to, "-o", tmp_path / f"{to}-back",
            "--modality", "x-ray", "--licence", "CC0",
        )  # fmt: skip
        assert back.exit_code == 0, back.stderr
        assert _boxes(tmp_path / f"{to}-back") == _boxes(source)


def _boxes(folder: Path) -> list[tuple[Any, ...]]:
    """Return stem, split, class and box of every annotation."""
    document = json.loads((folder / "annotations.json").read_text())
    images = {image["id"]: (Path(image["file_name"]).stem, image["split"]) for image in document["images"]}
    names = {category["id"]: category["name"] for category in document["categories"]}
    return sorted(
        (*images[own["image_id"]], names[own["category_id"]], tuple(own["bbox"]))
        for own in document["annotations"]
    )


def test_the_document(medrov: Medrov, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = medrov("data", "export", source, "--to", "yolo", "-o", out, "--split", "train", "--json")
    assert done.exit_code == 0
    assert done.json == {
        "schema": "medrov.data.export/1",
        "format": "yolo",
        "file": str(out / "data.yaml"),
        "images": 8,
        "boxes": 8,
        "classes": CLASSES,
        "unmarked_pseudo": 0,
        "left_out": {"crowds": 0, "outside": 0},
        "failures": [],
    }


def test_addresses_of_images(medrov: Medrov, source: Path, tmp_path: Path) -> None:
    options = ("--to", "label-studio", "--split", "test", "--image-url", "https://example.org/set/")
    assert medrov("data", "export", source, "-o", tmp_path / "out", *options).exit_code == 0
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert task["data"]["image"] == "https://example.org/set/images/19.png"
    done = medrov("data", "export", source, "-o", tmp_path / "x", "--to", "cvat", "--image-url", "x")
    assert done.exit_code == 2


def test_what_is_lost_is_said(medrov: Medrov, source: Path, tmp_path: Path) -> None:
    document = json.loads((source / "annotations.json").read_text())
    document["annotations"][0]["iscrowd"] = 1
    document["annotations"][1]["source"] = "pseudo"
    (source / "annotations.json").write_text(json.dumps(document))
    (source / "images" / "5.png").unlink()
    done = medrov("data", "export", source, "--to", "yolo", "-o", tmp_path / "out", "--json")
    assert done.exit_code == 3
    assert done.json["left_out"] == {"crowds": 1, "outside": 0}
    assert (done.json["images"], done.json["boxes"]) == (18, 17)
    (failure,) = done.json["failures"]
    assert (failure["path"], failure["error"]["code"]) == ("chest/5.png", "not_found")
    assert "chest/5.png" in done.stderr
    assert "1 boxes of crowds" in done.stderr
    assert done.json["unmarked_pseudo"] == 1
    assert "1 boxes of a detector" in done.stderr


def test_a_folder_in_use_is_gone_on_with_only_if_asked(medrov: Medrov, source: Path, tmp_path: Path) -> None:
    command = ("data", "export", source, "--to", "cvat", "-o", tmp_path / "out")
    assert medrov(*command).exit_code == 0
    again = medrov(*command)
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    assert medrov(*command, "--resume").exit_code == 0


def test_no_input(medrov: Medrov, source: Path, tmp_path: Path) -> None:
    for wrong in (tmp_path / "nowhere", tmp_path):
        assert medrov("data", "export", wrong, "--to", "coco", "-o", tmp_path / "out").exit_code == 4
    done = medrov("data", "export", source, "--to", "coco", "-o", tmp_path / "out", "--split", "none")
    assert done.exit_code == 4
    assert not (tmp_path / "out").exists()
    assert medrov("data", "export", source, "--to", "pickle", "-o", tmp_path / "out").exit_code == 2
