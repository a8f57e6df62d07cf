"""``medrov data check``: for people and as JSON, and every exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from source_folders import Picture, write_source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    splits = ["train"] * 3 + ["val", "test"]
    return write_source(
        tmp_path / "ct",
        [Picture(s, [("liver", 1, 1, 9, 9)], f"p{n}") for n, s in enumerate(splits)],
        ["liver"],
    )


def test_nothing_found(medrov: Any, source: Path) -> None:
    done = medrov("data", "check", source)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "1 source(s), 5 image(s), 5 box(es): 0 error(s), 0 warning(s), 0 note(s)\n"


def test_an_error_for_people(medrov: Any, source: Path) -> None:
    (source / "images" / "002.png").unlink()
    done = medrov("data", "check", source)
    assert done.exit_code == 3
    header, row, _, summary = done.stdout.splitlines()
    assert header.split() == ["severity", "code", "where", "what"]
    assert row.split()[:3] == ["error", "file_missing", "ct/002.png"]
    assert "1 error(s)" in summary


def test_leaks_come_with_the_command_that_mends_them(medrov: Any, tmp_path: Path) -> None:
    pictures = [Picture("train", case="p"), Picture("val", case="p"), Picture("train", seed=9)]
    pictures += [Picture("test", seed=9), *(Picture("train") for _ in range(5))]
    folder = write_source(tmp_path / "s", pictures, ["x"])
    (folder / "images" / "009.png").unlink()
    done = medrov("data", "check", folder)
    assert done.exit_code == 3
    hints = [line for line in done.stderr.splitlines() if "medrov data split SOURCE_DIR --repair" in line]
    assert [line.split(":")[0] for line in hints] == ["case_in_two_splits", "near_duplicate"]
    assert medrov("data", "split", folder, "--repair").exit_code == 3  # 009 could not be compared
    left = medrov("data", "check", folder, "--json").json["findings"]
    assert [found["code"] for found in left if found["severity"] == "error"] == ["file_missing"]


def test_as_json(medrov: Any, source: Path, tmp_path: Path) -> None:
    (source / "images" / "002.png").unlink()
    (tmp_path / "data.yaml").write_text("name: mine\nsources: [ct]\n")
    done = medrov("data", "check", tmp_path / "data.yaml", "--json")
    assert done.exit_code == 3
    assert done.json == {
        "schema": "medrov.data.check/1",
        "name": "mine",
        "sources": 1,
        "images": 5,
        "boxes": 5,
        "counts": {"error": 1, "warning": 0, "note": 0},
        "findings": [
            {
                "code": "file_missing",
                "severity": "error",
                "where": "ct/002.png",
                "message": "the file does not exist",
                "hint": "Restore the file, or remove its image from annotations.json.",
            }
        ],
    }


def test_warnings_alone_are_no_failure(medrov: Any, tmp_path: Path) -> None:
    folder = write_source(tmp_path / "s", [Picture("train", [("x", 40, 1, 40, 9)])], ["x"])
    done = medrov("data", "check", folder, "--json")
    assert done.exit_code == 0
    assert [finding["code"] for finding in done.json["findings"]] == ["box_outside"]


def test_the_table_is_cut_and_the_document_is_not(medrov: Any, tmp_path: Path) -> None:
    folder = write_source(tmp_path / "s", [Picture("train", [("x", 40, 1, 40, 9)])] * 25, ["x"])
    done = medrov("data", "check", folder)
    assert done.stdout.count("box_outside") == 21
    assert "and 5 more: see --json" in done.stdout
    assert len(medrov("data", "check", folder, "--json").json["findings"]) == 25


def test_near_duplicates_as_strict_as_asked(medrov: Any, tmp_path: Path) -> None:
    pictures = [Picture("train", seed=1), Picture("test", seed=1), *(Picture("train") for _ in range(20))]
    folder = write_source(tmp_path / "s", pictures, ["x"])

    def codes(*options: object) -> list[str]:
        found = medrov("data", "check", folder, *options, "--json").json["findings"]
        return [finding["code"] for finding in found if finding["severity"] == "error"]

    assert codes() == ["near_duplicate"]
    assert codes("--hamming", 0, "--correlation", 0.9999) == ["near_duplicate"]
    others = codes("--hamming", 64, "--correlation", 0)  # 002 has one like it, and is the best of all others
    assert len(others) > 1


def test_exit_codes(medrov: Any, source: Path, tmp_path: Path) -> None:
    missing = medrov("data", "check", tmp_path / "nowhere", "--json")
    assert (missing.exit_code, missing.json["error"]["code"]) == (4, "dataset_invalid")
    assert medrov("data", "check", tmp_path / "nowhere.yaml").exit_code == 4
    (tmp_path / "data.yaml").write_text("sources: [ct]\n")
    assert medrov("data", "check", tmp_path / "data.yaml", source).exit_code == 2
    moved = medrov("data", "check", tmp_path / "data.yaml", "--data-root", tmp_path / "elsewhere")
    assert moved.exit_code == 4
    assert medrov("data", "check", source, tmp_path / "nowhere").exit_code == 3
