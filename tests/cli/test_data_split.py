"""``medrov data split``: for people and as JSON, and every exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from source_folders import Picture, read_coco, write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    pictures = [Picture(None, [("liver", 1, 1, 5, 5)] * 2, f"p{n // 2}") for n in range(20)]
    return write_source(tmp_path / "ct", pictures, ["liver"])


def test_for_people(medrov: Any, source: Path) -> None:
    done = medrov("data", "split", source)
    assert done.exit_code == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["train", "val", "test"],
        ["images", "14", "2", "4"],
        ["cases", "7", "1", "2"],
        ["liver:", "images/boxes", "14/28", "2/4", "4/8"],
    ]
    assert "warning" not in done.stderr
    assert {image["split"] for image in read_coco(source)["images"]} == {"train", "val", "test"}


def test_as_json(medrov: Any, source: Path) -> None:
    done = medrov("data", "split", source, "--val", 0, "--test", 0.5, "--seed", 3, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json == {
        "schema": "medrov.data.split/1",
        "source": "ct",
        "path": str(source / "annotations.json"),
        "seed": 3,
        "images": {"train": 10, "val": 0, "test": 10},
        "cases": {"train": 5, "val": 0, "test": 5},
        "images_without_case": 0,
        "classes": [
            {
                "class": "liver",
                "images": {"train": 10, "val": 0, "test": 10},
                "boxes": {"train": 20, "val": 0, "test": 20},
            }
        ],
    }


def test_images_without_a_case_are_a_warning(medrov: Any, tmp_path: Path) -> None:
    folder = write_source(tmp_path / "s", [Picture(None)] * 5, ["x"])
    done = medrov("data", "split", folder)
    assert done.exit_code == 0
    assert "warning: 5 image(s) have no case" in done.stderr


def test_the_test_split_can_be_kept(medrov: Any, source: Path, tmp_path: Path) -> None:
    medrov("data", "split", source)
    kept = {image["id"] for image in read_coco(source)["images"] if image["split"] == "test"}
    done = medrov(
        "data", "split", source, "--keep-test", "--seed", 9, "--output", tmp_path / "annotations.json"
    )
    assert done.exit_code == 0, done.stderr
    assert {i["id"] for i in read_coco(tmp_path)["images"] if i["split"] == "test"} == kept


def test_exit_codes(medrov: Any, source: Path, tmp_path: Path) -> None:
    assert medrov("data", "split", source, "--val", 0.6, "--test", 0.4).exit_code == 2
    assert medrov("data", "split", source, "--val", 2).exit_code == 2
    missing = medrov("data", "split", tmp_path / "nowhere", "--json")
    assert (missing.exit_code, missing.json["error"]["code"]) == (4, "dataset_invalid")
