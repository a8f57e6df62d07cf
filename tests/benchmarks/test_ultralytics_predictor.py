"""Ultralytics' predictor with our weights is the same network, or it is not compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import text_encoder
import ultralytics_predictor
from benchmark_documents import QUICK, measured, require_strict, sections
from detect_fixtures import IMGSZ, noise_image
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.benchmarking.benchmark_model import BenchmarkModel
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.model.checkpoint import detector_tensors
from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.records.boxes import iou_matrix
from medrov_cli.core.records.suppression import select
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.weights.container import EMBEDDINGS, save
from medrov_cli.core.weights.metadata import ArchitectureInfo
from tolerances import BOX_ATOL_PX, SCORE_ATOL
from ultralytics_predictor import PredictorSettings, UltralyticsPredictor, write_listing
from weights_fixtures import metadata, unit_rows

CONF = 0.25


@pytest.fixture(scope="module")
def model(weights: Path) -> BenchmarkModel:
    return BenchmarkModel.from_settings(BenchmarkSettings(weights=str(weights)))


@pytest.fixture(scope="module")
def predictor(model: BenchmarkModel) -> UltralyticsPredictor:
    return UltralyticsPredictor(model, "cpu", CONF)


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    return np.stack([noise_image(number, IMGSZ, IMGSZ) for number in range(3)])


def opened(model: BenchmarkModel, engine: str = "torch") -> Engine:
    runtime = RuntimeSettings(device="cpu", engine=EngineName(engine))
    return WeightsFile.read(model.path).open(model.classes.embeddings, runtime, imgsz=model.imgsz, streams=1)


@pytest.mark.parametrize("engine", ["torch", "onnx", "openvino"])
def test_both_networks_give_the_same_at_every_anchor(
    predictor: UltralyticsPredictor, model: BenchmarkModel, squares: np.ndarray, engine: str
) -> None:
    ours = opened(model, engine)
    assert max(found.scores.max() for found in ours.infer(squares)) > 0.3
    scores, boxes_px = predictor.differences(ours, squares)
    assert scores < SCORE_ATOL
    assert boxes_px < BOX_ATOL_PX
    assert predictor.require_equal(ours, squares)["score"] < SCORE_ATOL


def test_another_network_is_not_compared(
    predictor: UltralyticsPredictor, model: BenchmarkModel, squares: np.ndarray
) -> None:
    other = replace(model, classes=replace(model.classes, embeddings=model.classes.embeddings[::-1].copy()))
    with pytest.raises(MedrovError, match="scores differ by") as caught:
        predictor.require_equal(opened(other), squares)
    assert caught.value.code is ErrorCode.INTERNAL


def test_a_background_is_one_class_more(tmp_path: Path, squares: np.ndarray) -> None:
    torch.manual_seed(3)
    detector = Detector(Architecture("n", text_adapter=True, background=True))
    detector.keep_background(torch.from_numpy(unit_rows(1, seed=9)[0]))
    tensors = detector_tensors(detector) | {EMBEDDINGS: unit_rows(3).astype(np.float16)}
    path = tmp_path / "with_background.safetensors"
    info = ArchitectureInfo("n", text_adapter=True, background=True)
    save(path, tensors, metadata("with background", architecture=info, imgsz=IMGSZ))
    model = BenchmarkModel.from_settings(BenchmarkSettings(weights=str(path)))
    scores, boxes_px = UltralyticsPredictor(model, "cpu", CONF).differences(opened(model), squares)
    assert scores < SCORE_ATOL
    assert boxes_px < BOX_ATOL_PX


def test_its_predictor_finds_what_ours_finds(
    predictor: UltralyticsPredictor, model: BenchmarkModel, squares: np.ndarray, tmp_path: Path
) -> None:
    """Files of the size of the model input: neither of the two scales them."""
    files = []
    for number, image in enumerate(squares):
        files.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(files[-1], image[..., ::-1])
    found = predictor.detections(PredictorSettings(2, True, 1), write_listing(tmp_path / "list.txt", files))
    assert len(found) == 3
    compared = 0
    for (boxes, scores, labels), candidates in zip(found, opened(model).infer(squares), strict=True):
        ours = select(candidates.boxes_xyxy, candidates.scores, conf=CONF, iou=0.7, max_det=300)
        assert len(scores)
        for box, score, label in zip(boxes, scores, labels, strict=True):
            same = (ours[2] == label) & (np.abs(ours[1] - score) < 1e-3)
            # The best of an anchor is among ours, where an anchor may answer for several classes.
            overlap = iou_matrix(box[None], np.clip(ours[0][same], 0, IMGSZ))
            compared += bool(overlap.size and overlap.max() > 0.99)
        assert abs(scores.max() - ours[1].max()) < 1e-3
    total = sum(len(scores) for _, scores, _ in found)
    assert compared >= 0.9 * total


@pytest.mark.slow
def test_torch_and_opencv_have_their_threads_afterwards(
    predictor: UltralyticsPredictor, tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), noise_image(0))
    listing = write_listing(tmp_path / "list.txt", [str(file)] * 3)
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        torch.set_num_threads(3)
        cv2.setNumThreads(2)
        assert predictor.images_per_s(PredictorSettings(2, False, 2), listing) > 0
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 2)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_its_settings_are_tried_both_ways(predictor: UltralyticsPredictor) -> None:
    tried = predictor.candidates()
    assert {(own.batch, own.rect) for own in tried} == {(1, True), (1, False), (8, True), (8, False)}
    assert None in {own.threads for own in tried}
    assert not any(own.half for own in tried)  # ultralytics has no fp16 on a CPU


def test_the_document_of_a_comparison(script: Any, weights: Path, images: Path) -> None:
    done = script(ultralytics_predictor, images, "-w", weights, "--engine", "openvino", *QUICK, "--json")
    document = measured(done)
    assert sections(document) == {"runs", "against"}
    against = document["against"]
    assert against["largest_difference"]["score"] < SCORE_ATOL
    assert against["largest_difference"]["box_px"] < BOX_ATOL_PX
    top = max(trial["images_per_s"] for trial in against["trials"])
    best = [trial for trial in against["trials"] if trial["images_per_s"] == top]  # equal when rounded
    assert any(against["settings"].items() <= trial.items() for trial in best)
    ours, theirs = (part["end_to_end_images_per_s"]["rounds"] for part in (document["runs"][0], against))
    by_round = [own / other for own, other in zip(ours, theirs, strict=True)]
    assert against["ratios"][0]["ratio"] == pytest.approx(sum(by_round) / 2, rel=2e-3)


@pytest.mark.slow
def test_every_value_has_a_type_and_every_field_is_needed(script: Any, weights: Path, images: Path) -> None:
    options = ("-w", weights, "--engine", "onnx", *QUICK[:-1], 1, "--json")
    document = measured(script(ultralytics_predictor, images, *options))
    text = measured(script(text_encoder, "-w", weights, "--classes", 2, "--json"))
    require_strict(document | {"text": text["text"]})


def test_what_ultralytics_cannot_read_is_refused(script: Any, weights: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "chest_ct.dcm"
    done = script(ultralytics_predictor, example, "-w", weights, *QUICK)
    assert done.exit_code == 2
    assert "cannot read" in done.stderr
