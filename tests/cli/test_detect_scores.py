"""Calibrated scores and operating points in ``medrov detect``: the embedded weights, and tiny ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as serialise

from detect_fixtures import write_eager_detector, write_images
from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.container import METADATA_KEY
from weights_fixtures import made_up_calibration, write_detector

EXAMPLE = Path(__file__).parents[2] / "examples" / "chest_ct.dcm"


@pytest.fixture(scope="module")
def calibration() -> CalibrationInfo:
    found = container.read_metadata(resolution.resolve("medrov-n")).calibration
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


@pytest.mark.slow
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


# -- tiny weights with a calibration of round numbers, beside the same weights without one

CLASSES = ("lung nodule", "polyp", "red blood cell")
KNOWN = {own.name: own for own in made_up_calibration().classes}


def own_of(name: str) -> ClassCalibration:
    return KNOWN.get(name, made_up_calibration().pooled)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("plain") / "eager.safetensors")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "eager.safetensors"
    return write_eager_detector(path, calibration=made_up_calibration())


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_images(tmp_path / "in", 1)[0]


@pytest.fixture
def search(medrov: Any, image: Path) -> Any:
    """Return a function that gives the one record of a run."""

    def run(weights_file: Path, *options: Any) -> dict[str, Any]:
        done = medrov("detect", image, "--weights", weights_file, *options, "--format", "jsonl")
        assert done.exit_code == 0, done.stderr
        (record,) = done.lines
        return record

    return run


def test_raw_scores_equal_those_of_weights_without_calibration(
    search: Any, plain: Path, fitted: Path
) -> None:
    before = search(plain, "--conf", 0.3)
    after = search(fitted, "--conf", 0.3, "--raw-scores")
    assert {found["class"] for found in before["detections"]} == set(CLASSES)
    assert after["detections"] == before["detections"]
    assert (before["model"]["scores"], after["model"]["scores"]) == ("raw", "raw")
    assert search(plain)["detections"] == search(plain, "--conf", 0.25)["detections"]
    assert search(plain, "--raw-scores")["detections"] == search(plain)["detections"]


def test_operating_points_and_maps_by_hand(search: Any, fitted: Path) -> None:
    raw = search(fitted, "--raw-scores")["detections"]
    record = search(fitted)
    assert record["model"]["scores"] == "calibrated"
    assert {found["class"] for found in raw} == set(CLASSES)
    for name in CLASSES:
        lowest = min(found["score"] for found in raw if found["class"] == name)
        assert own_of(name).threshold <= lowest < own_of(name).threshold + 0.1
    before = sorted((found["class"], *found["box_xyxy"], found["score"]) for found in raw)
    after = sorted((found["class"], *found["box_xyxy"], found["score"]) for found in record["detections"])
    assert [row[:-1] for row in after] == [row[:-1] for row in before]
    expected = [
        row[-1] / 2 if row[0] == "lung nodule" else min(max((row[-1] - 0.2) / 0.4, 0.0), 1.0)
        for row in before
    ]
    assert [row[-1] for row in after] == pytest.approx(expected, abs=5e-5)
    scores = [found["score"] for found in record["detections"]]
    assert scores == sorted(scores, reverse=True)
    names = [found["class"] for found in record["detections"]]
    assert names != [found["class"] for found in raw]  # halving puts nodules behind


def test_conf_overrides_the_operating_points(search: Any, fitted: Path) -> None:
    shown = search(fitted, "--conf", 0.6)["detections"]
    assert {found["class"] for found in shown} == {"polyp", "red blood cell"}  # nodules end at 0.5
    assert min(found["score"] for found in shown) >= 0.6
    raw = search(fitted, "--conf", 0.44, "--raw-scores")["detections"]  # 0.2 + 0.6 * 0.4
    assert len(shown) == sum(found["class"] != "lung nodule" for found in raw)


def test_resume_refuses_another_conf_and_another_kind_of_score(
    medrov: Any, image: Path, fitted: Path, tmp_path: Path
) -> None:
    def run(*options: Any) -> Any:
        return medrov("detect", image, "--weights", fitted, "--output", tmp_path / "out", *options)

    assert run().exit_code == 0
    settings = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["conf"], settings["raw_scores"]) == (None, False)
    assert run("--resume").exit_code == 0
    for options, named in ((("--conf", 0.5), "settings.conf"), (("--raw-scores",), "settings.raw_scores")):
        done = run("--resume", *options)
        assert done.exit_code == 2
        assert named in done.stderr


def test_a_damaged_calibration_is_code_5(medrov: Any, image: Path, fitted: Path, tmp_path: Path) -> None:
    good = container.read_metadata(fitted)
    assert good.calibration is not None
    pooled = replace(good.calibration.pooled, raw=(0.6, 0.2))  # falls
    bad = replace(good, calibration=replace(good.calibration, pooled=pooled))
    content = serialise(container.load_tensors(fitted), metadata={METADATA_KEY: bad.to_json()})
    (tmp_path / "bad.safetensors").write_bytes(content)
    done = medrov("detect", image, "--weights", tmp_path / "bad.safetensors", "--json")
    assert done.exit_code == 5
    assert done.json["error"]["code"] == "weights_corrupt"
    assert "calibration.pooled.raw" in done.json["error"]["message"]
