"""``--rectangles`` and ``--squares``: the form of the model input, and who decides it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import pytest

from conftest import Medrov
from detect_fixtures import noise_image, write_eager_detector
from medrov_cli.core.engines.compiled_cache import COMPILED_FOLDER
from medrov_cli.core.weights.container import load_tensors, read_metadata, save
from source_folders import Picture, write_source

LINES = ("--device", "cpu", "--format", "jsonl")
SIZES = ((60, 80), (80, 60), (64, 64), (30, 90))


@pytest.fixture(scope="module")
def square_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def weights(square_weights: Path) -> Path:
    """Return the same network with the statement that it takes rectangles."""
    path = square_weights.with_name("wide.safetensors")
    stated = dataclasses.replace(read_metadata(square_weights), rectangles=True)
    save(path, load_tensors(square_weights), stated)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, size in enumerate(SIZES):
        cv2.imwrite(str(folder / f"{number}.png"), noise_image(number, *size))
    return folder


@pytest.mark.parametrize("engine", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def test_the_weights_decide_and_an_option_overrides(
    medrov: Medrov, weights: Path, square_weights: Path, images: Path, engine: str
) -> None:
    def run(path: Path, *more: str) -> list[Any]:
        done = medrov("detect", images, "--weights", path, *LINES, "--engine", engine, *more)
        return done.lines

    wide, forced, square = run(weights), run(square_weights, "--rectangles"), run(square_weights)
    assert [own["model"]["rectangles"] for own in (wide[0], forced[0], square[0])] == [True, True, False]
    assert [own["detections"] for own in run(weights, "--squares")] == [own["detections"] for own in square]
    assert [own["detections"] for own in wide] == [own["detections"] for own in forced]
    assert wide[2]["detections"] == square[2]["detections"], "a square image has the same input"
    assert [own["detections"] for own in wide] != [own["detections"] for own in square]
    for own, (height, width) in zip(wide, SIZES, strict=True):
        assert own["detections"]
        for box in (one["box_xyxy"] for one in own["detections"]):
            assert 0 <= box[0] <= box[2] <= width
            assert 0 <= box[1] <= box[3] <= height


def test_an_image_gives_the_same_alone_and_among_others(medrov: Medrov, weights: Path, images: Path) -> None:
    together = medrov("detect", images, "--weights", weights, *LINES).lines
    for own, path in zip(together, sorted(images.iterdir()), strict=True):
        (alone,) = medrov("detect", path, "--weights", weights, *LINES).lines
        assert alone["detections"] == own["detections"]


def test_torch_computes_squares(medrov: Medrov, weights: Path, square_weights: Path, images: Path) -> None:
    how = (*LINES, "--engine", "torch")
    found = medrov("detect", images, "--weights", weights, *how).lines
    expected = medrov("detect", images, "--weights", square_weights, *how).lines
    assert not found[0]["model"]["rectangles"]
    assert [own["detections"] for own in found] == [own["detections"] for own in expected]
    refused = medrov("detect", images, "--weights", weights, *how, "--rectangles")
    assert refused.exit_code == 2
    assert "the torch engine computes squares only" in refused.stderr
    assert "--engine openvino" in refused.stderr


@pytest.mark.slow
def test_an_exported_model_has_its_squares(medrov: Medrov, weights: Path, images: Path) -> None:
    target, data = images.parent / "model.onnx", images.parent / "data"
    write_source(data / "noise", [Picture("val", [("polyp", 5.0, 4.0, 20.0, 30.0)])] * 64, ["polyp"])
    (data / "data.yaml").write_text("name: noise\nsources: [noise]\n")
    # Of the images for which its statistics hold, a random network has scores that are alike on every CPU.
    options = ("--classes", "polyp", "--data", data / "data.yaml", "--images", 64)
    made = medrov("export", "--weights", weights, "--to", "onnx", "--output", target, *options)
    assert made.exit_code == 0, made.stderr
    (first, *_) = medrov("detect", images, "--weights", target, *LINES).lines
    assert not first["model"]["rectangles"]
    refused = medrov("detect", images, "--weights", target, *LINES, "--rectangles")
    assert refused.exit_code == 2
    assert "model.onnx was exported for squares" in refused.stderr


@pytest.mark.slow
def test_a_prepared_cache_has_every_size(
    medrov: Medrov, weights: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = images.parent / "cache"
    made = medrov("weights", "prepare", "--cache", cache, "--weights", weights, "--json").json
    assert made["compiled"] == 5, "sides of 96, 64 and 32 pixels, one of them 96"
    before = sorted((cache / COMPILED_FOLDER).iterdir())
    monkeypatch.setenv("MEDROV_CACHE", str(cache))
    medrov("detect", images, "--weights", weights, *LINES)
    assert sorted((cache / COMPILED_FOLDER).iterdir()) == before
    many = ",".join(str(number) for number in range(1, 14))
    refused = medrov("weights", "prepare", "--cache", cache, "--weights", weights, "--cores", many)
    assert refused.exit_code == 2
    assert "65 graphs" in refused.stderr


def test_a_benchmark_may_compare_both(medrov: Medrov, weights: Path, images: Path) -> None:
    how = ("--weights", weights, "--device", "cpu", "--images", "4", "--rounds", "1", "--json")
    for flags, expected in (((), True), (("--squares",), False)):
        (found,) = medrov("benchmark", images, *how, *flags).json["runs"]
        assert found["rectangles"] is expected
