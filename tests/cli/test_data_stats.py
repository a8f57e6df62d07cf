"""``medrov data stats``: for people and as JSON, and every exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from source_folders import Picture, write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    pictures = [Picture("train", [("liver", 1, 1, 9, 16)], "p1"), Picture("test", [("liver", 1, 1, 4, 4)])]
    return write_source(tmp_path / "ct", pictures, ["liver"])


def test_for_people(medrov: Any, source: Path) -> None:
    done = medrov("data", "stats", source)
    assert done.exit_code == 0, done.stderr
    header, images, liver, _, summary = done.stdout.splitlines()
    assert header.split()[:5] == ["source", "class", "train", "val", "test"]
    assert images.split() == ["ct", "(CT)", "images", "1", "0", "1"]
    assert liver.split() == ["liver", "1", "0", "1", "4.0", "8.0", "12.0"]
    assert summary.startswith("1 source(s), 2 image(s), 2 box(es), 1 class(es)")


def test_images_without_a_split_have_a_column(medrov: Any, tmp_path: Path) -> None:
    done = medrov("data", "stats", write_source(tmp_path / "s", [Picture(None)], ["x"]))
    assert done.stdout.splitlines()[0].split()[2:6] == ["train", "val", "test", "none"]


def test_as_json(medrov: Any, source: Path) -> None:
    done = medrov("data", "stats", source, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json == {
        "schema": "medrov.data.stats/1",
        "name": "ct",
        "images": 2,
        "boxes": 2,
        "classes": 1,
        "sources": [
            {
                "name": "ct",
                "modality": "CT",
                "licence": "CC0",
                "images": {"train": 1, "val": 0, "test": 1, "none": 0},
                "cases": {"train": 1, "val": 0, "test": 1, "none": 0},
                "images_without_boxes": 0,
                "image_side_px": {"min": 48, "max": 64},
                "classes": [
                    {
                        "class": "liver",
                        "images": {"train": 1, "val": 0, "test": 1, "none": 0},
                        "boxes": {"train": 1, "val": 0, "test": 1, "none": 0},
                        "side_px": {"min": 4.0, "median": 8.0, "max": 12.0},
                        "median_share_of_image": round(80 / (48 * 64), 6),
                    }
                ],
            }
        ],
    }


def test_the_page(medrov: Any, source: Path, tmp_path: Path) -> None:
    done = medrov("data", "stats", source, "--html", tmp_path / "a.html", "--per-class", 1, "--seed", 1)
    assert done.exit_code == 0, done.stderr
    assert f"written: {tmp_path / 'a.html'}" in done.stderr
    assert (tmp_path / "a.html").read_text().count("data:image/jpeg") == 1


def test_exit_codes(medrov: Any, source: Path, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("sources: [ct]\n")
    assert medrov("data", "stats", tmp_path / "data.yaml").exit_code == 0
    assert medrov("data", "stats", tmp_path / "data.yaml", source).exit_code == 2
    missing = medrov("data", "stats", source, tmp_path / "nowhere", "--json")
    assert (missing.exit_code, missing.json["error"]["code"]) == (4, "dataset_invalid")
    (tmp_path / "list.yaml").write_text("- ct\n")
    assert medrov("data", "stats", tmp_path / "list.yaml").exit_code == 4
