"""--precision int8 and auto with the weights of the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrov_cli.core.records.boxes import iou_matrix

IMAGE = Path(__file__).parents[2] / "examples" / "blood_smear.png"


@pytest.fixture
def detect(medrov: Any) -> Any:
    def run(precision: str) -> dict[str, Any]:
        options = (
            "--classes",
            "white blood cell,red blood cell",
            "--precision",
            precision,
            "--device",
            "cpu",
        )
        done = medrov("detect", IMAGE, *options, "--format", "jsonl")
        assert done.exit_code == 0, done.stderr
        record: dict[str, Any] = json.loads(done.stdout)
        return record

    return run


def test_int8_finds_the_objects_of_fp32(detect: Any) -> None:
    plain, rounded = detect("fp32"), detect("int8")
    assert plain["model"]["engine"] == "openvino-cpu"
    assert rounded["model"]["engine"] == "openvino-cpu-int8"
    first, second = (
        np.array([own["box_xyxy"] for own in record["detections"] if own["score"] >= 0.6])
        for record in (plain, rounded)
    )
    assert len(first) >= 5
    found = iou_matrix(first, second).max(1) >= 0.8
    assert found.mean() >= 0.8


def test_auto_names_the_format_that_ran(detect: Any) -> None:
    record = detect("auto")
    engine = record["model"]["engine"]
    assert engine in ("openvino-cpu", "openvino-cpu-bf16", "openvino-cpu-int8")
    same = detect((engine + "-fp32").removeprefix("openvino-cpu-").split("-")[0])
    assert same["detections"] == record["detections"]


def test_the_list_of_weights_states_the_losses(medrov: Any) -> None:
    done = medrov("weights", "list", "--json")
    own = next(item for item in json.loads(done.stdout)["weights"] if item["name"] == "medrov-n")
    assert own["formats"]["int8"]["points"] < 1
    assert "int8" in medrov("weights", "list").stdout
