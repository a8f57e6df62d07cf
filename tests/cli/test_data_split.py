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
        "near_copies": {"pairs": 0, "cases": 0, "groups": 0},
        "moved": None,
        "classes": [
            {
                "class": "liver",
                "images": {"train": 10, "val": 0, "test": 10},
                "boxes": {"train": 20, "val": 0, "test": 20},
            }
        ],
        "failures": [],
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


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """Case p in train and val; 003 a copy of 004 in test; six sound images."""
    first = [Picture("train", case="p"), Picture("val", case="p"), Picture("train", seed=77)]
    rest = [Picture("test", seed=77), *(Picture("train", case=f"r{n}") for n in range(6))]
    return write_source(tmp_path / "s", first + rest, ["x"])


def test_a_repair_for_people(medrov: Any, leaking: Path) -> None:
    done = medrov("data", "split", leaking, "--repair")
    assert done.exit_code == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["moved", "from", "to", "reason"],
        ["001.png", "train", "val", "case_in_two_splits"],
        ["003.png", "train", "test", "near_duplicate"],
        [],
        ["train", "val", "test"],
        ["images", "6", "2", "2"],
        ["cases", "6", "1", "2"],
        ["x:", "images/boxes", "0/0", "0/0", "0/0"],
    ]
    assert "2 cases contain near-copies of each other: they are kept together in 1 group(s)" in done.stderr
    assert "moved: 2 image(s) of 2 case(s)" in done.stderr
    assert medrov("data", "check", leaking).stdout.count("error") == 1  # in "0 error(s)"
    before = (leaking / "annotations.json").read_bytes()
    again = medrov("data", "split", leaking, "--repair")
    assert again.exit_code == 0
    assert "nothing to repair" in again.stderr
    assert (leaking / "annotations.json").read_bytes() == before


def test_a_repair_as_json(medrov: Any, leaking: Path, tmp_path: Path) -> None:
    before = (leaking / "annotations.json").read_bytes()
    done = medrov("data", "split", leaking, "--repair", "-o", tmp_path / "new.json", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["seed"] is None
    assert done.json["near_copies"] == {"pairs": 1, "cases": 2, "groups": 1}
    assert done.json["moved"] == {
        "images": 2,
        "cases": 2,
        "records": [
            {"file_name": "001.png", "from": "train", "to": "val", "reason": "case_in_two_splits"},
            {"file_name": "003.png", "from": "train", "to": "test", "reason": "near_duplicate"},
        ],
    }
    assert (leaking / "annotations.json").read_bytes() == before
    assert (tmp_path / "new.json").is_file()
    alone = medrov("data", "split", leaking, "--repair", "--no-join-copies", "--json").json
    assert alone["near_copies"] is None
    assert [record["file_name"] for record in alone["moved"]["records"]] == ["001.png"]


def test_the_table_of_moves_is_cut(medrov: Any, tmp_path: Path) -> None:
    pictures = [Picture(split, case=f"p{n}") for n in range(25) for split in ("train", "test")]
    folder = write_source(tmp_path / "s", pictures, ["x"])
    done = medrov("data", "split", folder, "--repair")
    assert done.stdout.count("case_in_two_splits") == 20
    assert "and 5 more: see --json" in done.stdout


def test_near_copies_are_as_near_as_asked(medrov: Any, leaking: Path) -> None:
    strict = ("--hamming", 0, "--correlation", 1)
    assert medrov("data", "split", leaking, "--json").json["near_copies"]["pairs"] == 1
    assert medrov("data", "split", leaking, *strict, "--json").json["near_copies"]["pairs"] == 1
    loose = ("--hamming", 64, "--correlation", 0)
    assert medrov("data", "split", leaking, *loose, "--json").json["near_copies"]["pairs"] > 1


def test_what_cannot_be_compared_is_a_failure_and_the_rest_is_done(medrov: Any, source: Path) -> None:
    (source / "images" / "003.png").write_bytes(b"no image")
    done = medrov("data", "split", source, "--json")
    assert done.exit_code == 3
    (failure,) = done.json["failures"]
    assert (failure["path"], failure["error"]["code"]) == ("ct/003.png", "unreadable")
    assert "ct/003.png" in done.stderr
    assert sum(done.json["images"].values()) == 20
    assert medrov("data", "split", source, "--no-join-copies").exit_code == 0
    for image in (source / "images").iterdir():
        image.unlink()
    before = (source / "annotations.json").read_bytes()
    nothing = medrov("data", "split", source, "--json")
    assert (nothing.exit_code, nothing.json["error"]["code"]) == (4, "no_input")
    assert (source / "annotations.json").read_bytes() == before


@pytest.mark.parametrize("option", [("--val", 0.1), ("--test", 0), ("--seed", 0), ("--keep-test",)])
def test_a_repair_deals_nothing(medrov: Any, leaking: Path, option: tuple[object, ...]) -> None:
    done = medrov("data", "split", leaking, "--repair", *option, "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (2, "usage")
    assert option[0] in done.json["error"]["message"]


def test_a_repair_needs_splits(medrov: Any, source: Path) -> None:
    done = medrov("data", "split", source, "--repair", "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (4, "dataset_invalid")
