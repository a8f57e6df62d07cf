"""Calibrated scores and operating points in ``medrov detect``, with the weights that are embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrov_cli.core import weights
from medrov_cli.core.weights.calibration import CalibrationInfo
from weights_fixtures import write_detector

EXAMPLE = Path(__file__).parents[2] / "examples" / "chest_ct.dcm"


@pytest.fixture(scope="module")
def calibration() -> CalibrationInfo:
    found = weights.read_metadata(weights.resolve("medrov-n")).calibration
    assert found is not None
    return found


def detections(medrov: Any, *options: Any) -> list[dict[str, Any]]:
    done = medrov("detect", EXAMPLE, *options, "--format", "jsonl")
    assert done.exit_code == 0, done.stderr
    return done.lines[0]["detections"]


def test_shown_scores_are_the_raw_ones_through_the_class_map(
    medrov: Any, calibration: CalibrationInfo
) -> None:
    raw = {
        (d["class"], *d["box_xyxy"]): d["score"] for d in detections(medrov, "--raw-scores", "--conf", 0.1)
    }
    shown = detections(medrov, "--conf", 0.0, "--max-det", 300)
    compared = 0
    for found in shown:
        key = (found["class"], *found["box_xyxy"])
        if key in raw:
            own = calibration.for_name([found["class"]])
            assert found["score"] == pytest.approx(np.interp(raw[key], own.raw, own.calibrated), abs=2e-5)
            compared += found["score"] != raw[key]
    assert compared >= 5
    scores = [found["score"] for found in shown]
    assert scores == sorted(scores, reverse=True)


def test_each_class_has_its_own_threshold(medrov: Any, calibration: CalibrationInfo) -> None:
    everything = detections(medrov, "--raw-scores", "--conf", 0.02)
    expected = [d for d in everything if d["score"] >= calibration.for_name([d["class"]]).threshold]
    assert 0 < len(expected) < len(everything)
    assert detections(medrov, "--raw-scores") == expected
    assert {d["class"] for d in detections(medrov)} == {d["class"] for d in expected}


def test_conf_is_in_the_unit_of_the_shown_score(medrov: Any) -> None:
    low = detections(medrov, "--conf", 0.3)
    high = detections(medrov, "--conf", 0.9)
    assert 0 < len(high) < len(low)
    assert high == [found for found in low if found["score"] >= 0.9]


def test_synonyms_share_a_calibration_and_other_texts_take_the_pooled_one(
    medrov: Any, calibration: CalibrationInfo
) -> None:
    for text, own in (
        ("pulmonary nodule", calibration.for_name(["lung nodule"])),
        ("nodule", calibration.for_name(["lung nodule"])),  # a synonym in the vocabulary of the weights
        ("metastasis", calibration.pooled),
    ):
        options = ("--classes", text, "--conf", 0.0, "--max-det", 5)
        raw, shown = detections(medrov, *options, "--raw-scores"), detections(medrov, *options)
        boxes = {tuple(d["box_xyxy"]): d["score"] for d in raw}
        pairs = [(boxes[tuple(d["box_xyxy"])], d["score"]) for d in shown if tuple(d["box_xyxy"]) in boxes]
        assert pairs
        for before, after in pairs:
            assert after == pytest.approx(float(own.apply(np.array(before))), abs=2e-5)


def test_weights_without_calibration_show_raw_scores(medrov: Any, tmp_path: Path) -> None:
    tiny = write_detector(tmp_path / "tiny.safetensors")
    done = medrov("detect", EXAMPLE, "--weights", tiny, "--format", "jsonl")
    assert done.lines[0]["model"]["scores"] == "raw"
    assert done.lines[0]["detections"] == detections(medrov, "--weights", tiny, "--conf", 0.25)
