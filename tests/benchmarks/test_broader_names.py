"""``benchmarks/broader_names.py``: a dataset whose boxes have broader names alone, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import broader_names
from medrov_cli.core.datasets.dataset import load_dataset
from training_data import make_source


def test_boxes_get_the_narrowest_broader_name(tmp_path: Path) -> None:
    names = ("left lung", "right lung", "liver", "spine", "tooth", "incisor")
    found = broader_names.broader_names(names)
    assert found["left lung"] == found["right lung"] == "lung"
    assert found["liver"] == "abdominal organ"
    assert "spine" not in found
    assert "incisor" not in found  # "tooth" is a class of the dataset


def test_dataset_and_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    make_source(data, "chest", "x-ray", ["left lung", "spine"])
    make_source(data, "backs", "x-ray", ["spine"])
    make_source(data, "unsure", "x-ray", ["right lung"])
    make_source(data, "belly", "x-ray", ["liver"])
    (data / "presence.csv").write_text(
        "dataset,left lung,right lung,spine,liver\nchest,1,-1,1,-1\nbacks,-1,-1,1,-1\nunsure,0,1,0,-1\n"
        "belly,-1,-1,-1,1\n"
    )
    (data / "data.yaml").write_text("sources: [chest, backs, unsure, belly]\npresence: presence.csv\n")
    broader_names.write_dataset(load_dataset(data / "data.yaml"), tmp_path / "out")
    written = load_dataset(tmp_path / "out" / "broader.yaml")
    assert sorted(written.classes) == ["abdominal organ", "lung"]
    # Left lungs of "unsure" may have no box.
    assert [source.name for source in written.sources] == ["chest", "belly"]
    chest = [sample for sample in written.samples["train"] if sample.source_id == 0]
    assert {written.classes[label] for sample in chest for label in sample.labels} == {"lung"}
    own = {"lung": {"ap50": 0.5, "truths": 3}, "cell": {"ap50": None, "truths": 0}}
    (tmp_path / "report.json").write_text(json.dumps({"coco": {"presence": {"classes": own}}}))
    broader_names.print_table([tmp_path / "report.json"] * 2)
    assert "| lung | 3 | 0.500 | 0.500 |" in capsys.readouterr().out
