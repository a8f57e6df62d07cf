"""``medrov data merge``: for people and as JSON, and every exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.runs.locking import FolderLock
from source_folders import Picture, write_source


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    boxes = [("rbc", 1, 2, 9, 9)]
    return [
        write_source(tmp_path / "smear", [Picture("train", boxes)], ["rbc"], "microscopy"),
        write_source(tmp_path / "ct", [Picture("val", [("liver", 1, 2, 9, 9)])], ["liver"]),
    ]


def test_for_people(medrov: Any, sources: list[Path], tmp_path: Path) -> None:
    done = medrov("data", "merge", *sources, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    header, smear, ct = done.stdout.splitlines()
    assert header.split() == ["source", "images", "boxes", "classes", "renamed", "dropped", "folder"]
    assert smear.split() == ["smear", "1", "1", "rbc", "../smear"]
    assert ct.split() == ["ct", "1", "1", "liver", "../ct"]
    assert f"written: {tmp_path / 'out' / 'dataset.yaml'}" in done.stderr


def test_as_json(medrov: Any, sources: list[Path], tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("rename: {rbc: red blood cell}\n")
    options = ("--map", tmp_path / "map.yaml", "--name", "mine", "--json")
    done = medrov("data", "merge", *sources, "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.stderr
    assert done.json == {
        "schema": "medrov.data.merge/1",
        "name": "mine",
        "dataset": "dataset.yaml",
        "presence": "presence.csv",
        "classes": ["red blood cell", "liver"],
        "sources": [
            {
                "name": "smear",
                "path": "smear",
                "rewritten": True,
                "images": 1,
                "boxes": 1,
                "classes": ["red blood cell"],
                "renamed": {"rbc": "red blood cell"},
                "dropped": [],
                "kind": None,
            },
            {
                "name": "ct",
                "path": "../ct",
                "rewritten": False,
                "images": 1,
                "boxes": 1,
                "classes": ["liver"],
                "renamed": {},
                "dropped": [],
                "kind": None,
            },
        ],
    }
    assert load_dataset(tmp_path / "out" / "dataset.yaml").name == "mine"


def test_exit_codes(medrov: Any, sources: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    missing = medrov("data", "merge", sources[0], tmp_path / "nowhere", "-o", out, "--json")
    assert (missing.exit_code, missing.json["error"]["code"]) == (4, "dataset_invalid")
    assert medrov("data", "merge", *sources).exit_code == 2  # no --output
    assert medrov("data", "merge", *sources, "-o", out).exit_code == 0
    again = medrov("data", "merge", *sources, "-o", out)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert medrov("data", "merge", *sources, "-o", out, "--overwrite").exit_code == 0
    (tmp_path / "map.yaml").write_text("drop: [spleen]\n")
    assert (
        medrov("data", "merge", *sources, "-o", tmp_path / "b", "--map", tmp_path / "map.yaml").exit_code == 4
    )


def test_merge_of_a_source_with_the_name_of_an_own_file_is_refused(
    medrov: Any, sources: list[Path], tmp_path: Path
) -> None:
    sources[0].rename(tmp_path / "Merge.json")
    done = medrov("data", "merge", tmp_path / "Merge.json", sources[1], "-o", tmp_path / "out")
    assert done.exit_code == 4
    assert "'Merge.json' is the name of a file of the output" in done.stderr


def test_merge_into_a_folder_of_another_process_is_refused(
    medrov: Any, sources: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    lock = FolderLock(tmp_path / "out")
    lock.acquire()
    done = medrov("data", "merge", *sources, "-o", tmp_path / "out")
    lock.release()
    assert done.exit_code == 2
    assert "another process is writing there" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_kinds_come_from_a_table(medrov: Any, sources: list[Path], tmp_path: Path) -> None:
    table = tmp_path / "kinds.csv"
    table.write_text(
        "source,modality,kind\nsmear,microscopy,blood smear\nct,ct,abdominal CT\nelse,ct,head CT\n"
    )
    out = tmp_path / "out"
    done = medrov("data", "merge", *sources, "-o", out, "--kinds", table, "--json")
    assert done.exit_code == 0, done.stderr
    assert [own["kind"] for own in done.json["sources"]] == ["blood smear", "abdominal CT"]
    assert load_dataset(out / "dataset.yaml").kinds == ("blood smear", "abdominal CT")

    table.write_text("source,kind\nsmear,blood smear\n")
    lacking = medrov("data", "merge", *sources, "-o", tmp_path / "other", "--kinds", table, "--json")
    assert (lacking.exit_code, lacking.json["error"]["code"]) == (4, "dataset_invalid")
    assert "no kind for the source 'ct'" in lacking.json["error"]["message"]
    assert not (tmp_path / "other").exists()
