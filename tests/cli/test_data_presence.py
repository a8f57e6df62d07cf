"""``medrov data presence``: for people and as JSON, and every exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.datasets.dataset import load_dataset
from source_folders import Picture, write_source


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_source(tmp_path / "ct", [Picture("train", [("liver", 1, 1, 5, 5)])], ["liver"])
    write_source(
        tmp_path / "eye", [Picture("train", [("optic disc", 1, 1, 5, 5)])], ["optic disc"], "fundoscopy"
    )
    path = tmp_path / "data.yaml"
    path.write_text("name: two\nsources: [ct, eye]\n")
    return path


def test_for_people(medrov: Any, dataset: Path) -> None:
    done = medrov("data", "presence", dataset)
    assert done.exit_code == 0, done.stderr
    _, ct, eye = done.stdout.splitlines()
    assert (ct.split(), eye.split()) == (["ct", "1", "0", "1"], ["eye", "1", "0", "1"])
    assert "to use the table, add 'presence:'" in done.stderr
    assert (dataset.parent / "presence.csv").read_text() == "dataset,liver,optic disc\nct,1,-1\neye,-1,1\n"
    dataset.write_text(dataset.read_text() + "presence: presence.csv\n")
    assert load_dataset(dataset).presence.tolist() == [[1, -1], [-1, 1]]
    assert "to use it" not in medrov("data", "presence", dataset, "--overwrite").stderr


def test_as_json(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    table, reasons = tmp_path / "p.csv", tmp_path / "why.csv"
    done = medrov("data", "presence", dataset, "-o", table, "--reasons", reasons, "--json")
    assert done.exit_code == 0, done.stderr
    document = done.json
    assert document["schema"] == "medrov.data.presence/1"
    assert (document["dataset"], document["path"]) == ("two", str(table))
    assert (document["sources"], document["classes"]) == (["ct", "eye"], ["liver", "optic disc"])
    assert document["cells"][1] == {
        "source": "ct",
        "class": "optic disc",
        "value": -1,
        "reason": "lexicon",
        "text": "the lexicon lists it for fundoscopy",
    }
    assert len(reasons.read_text().splitlines()) == 5


def test_formulas_in_names_are_marked_in_both_tables(medrov: Any, tmp_path: Path) -> None:
    write_source(tmp_path / "=ct", [Picture("train", [("@liver", 1, 1, 5, 5)])], ["@liver"])
    path, reasons = tmp_path / "data.yaml", tmp_path / "why.csv"
    path.write_text('name: one\nsources: ["=ct"]\npresence: presence.csv\n')
    done = medrov("data", "presence", path, "--reasons", reasons)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "presence.csv").read_text() == "dataset,'@liver\n'=ct,1\n"
    assert reasons.read_text().splitlines()[1].startswith("'=ct,'@liver,1,")
    assert load_dataset(path).presence.tolist() == [[1]]


def test_exit_codes(medrov: Any, dataset: Path, tmp_path: Path) -> None:
    assert medrov("data", "presence", dataset).exit_code == 0
    again = medrov("data", "presence", dataset, "--json")
    assert (again.exit_code, again.json["error"]["code"]) == (2, "usage")
    assert medrov("data", "presence", tmp_path / "other" / "nowhere.yaml").exit_code == 4
    assert medrov("data", "presence", tmp_path / "ct", "-o", tmp_path / "p.csv").exit_code == 2
    root = medrov("data", "presence", dataset, "--data-root", tmp_path / "nowhere", "--overwrite")
    assert root.exit_code == 4
