"""Engines: the same numbers as the network itself, alone and in batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detect_fixtures import IMGSZ, noise_image, write_eager_detector
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.model.fusion import fuse
from medrov_cli.core.runtime.interface import Engine, Precision, check_device, open_engine, score_bytes
from weights_fixtures import unit_rows

TEXT = unit_rows(5, seed=3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


def opened(weights: Path, **how: object) -> Engine:
    return open_engine(weights, TEXT, **({"imgsz": IMGSZ, "load_network": load_detector} | how))


@pytest.fixture(scope="module")
def engine(weights: Path) -> Engine:
    return opened(weights, device="cpu")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.stack([noise_image(number, IMGSZ, IMGSZ) for number in range(4)])


def test_an_engine_gives_what_the_network_gives(engine: Engine, weights: Path, images: np.ndarray) -> None:
    boxes, scores = engine.infer(images)
    anchors = 12 * 12 + 6 * 6 + 3 * 3  # 96 pixels in cells of 8, 16 and 32
    assert (boxes.shape, scores.shape) == ((4, anchors, 4), (4, anchors, 5))
    assert (boxes.dtype, scores.dtype) == (np.float32, np.float32)
    assert 0.1 < scores.max() <= 1
    with torch.inference_mode():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        expected_boxes, expected_scores = load_detector(weights).detect(pixels, torch.from_numpy(TEXT))
    np.testing.assert_allclose(boxes, expected_boxes.numpy(), atol=1e-3)
    np.testing.assert_allclose(scores, expected_scores.numpy(), atol=1e-5)


def test_a_batch_gives_what_single_images_give(engine: Engine, images: np.ndarray) -> None:
    boxes, scores = engine.infer(images)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    for row in range(len(images)):
        alone_boxes, alone_scores = engine.infer(images[row : row + 1])
        # The last bits differ: that is why a resumed run repeats the batches of an undisturbed one.
        np.testing.assert_allclose(boxes[row], alone_boxes[0], atol=0.02)
        np.testing.assert_allclose(scores[row], alone_scores[0], atol=1e-4)


def test_folded_batch_norms_change_nothing_but_the_speed(weights: Path, images: np.ndarray) -> None:
    plain, folded = load_detector(weights), fuse(load_detector(weights))
    assert len(list(folded.parameters())) < len(list(plain.parameters()))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        boxes, scores = plain.detect(pixels, torch.from_numpy(TEXT))
        folded_boxes, folded_scores = folded.detect(pixels, torch.from_numpy(TEXT))
    np.testing.assert_allclose(folded_boxes.numpy(), boxes.numpy(), atol=0.02)
    np.testing.assert_allclose(folded_scores.numpy(), scores.numpy(), atol=1e-4)


def test_the_order_of_colours_matters(engine: Engine, images: np.ndarray) -> None:
    assert np.abs(engine.infer(images)[1] - engine.infer(images[..., ::-1])[1]).max() > 1e-3


def test_bf16_is_close_and_named(weights: Path, engine: Engine, images: np.ndarray) -> None:
    half = opened(weights, device="cpu", precision=Precision.BF16)
    assert (engine.name, half.name) == ("torch-cpu", "torch-cpu-bf16")
    _, scores = half.infer(images)
    difference = np.abs(scores - engine.infer(images)[1])
    assert 0 < np.median(difference) < 0.05


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cpu:0", "0", "CPU"])
def test_what_is_no_device_is_refused(device: str) -> None:
    with pytest.raises(MedrovError, match="--device") as caught:
        check_device(device)
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_here_is_refused(weights: Path, device: str) -> None:
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(MedrovError, match=f"--device {device}: this machine") as caught:
        opened(weights, device=device)
    assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("imgsz", [0, 31, 100, 4128])
def test_a_size_that_the_network_cannot_take_is_refused(weights: Path, imgsz: int) -> None:
    with pytest.raises(MedrovError, match=f"--imgsz {imgsz}") as caught:
        opened(weights, imgsz=imgsz)
    assert caught.value.code is ErrorCode.USAGE


def test_the_size_of_scores_is_known_beforehand(engine: Engine, images: np.ndarray) -> None:
    _, scores = engine.infer(images[:1])
    assert score_bytes(IMGSZ, 5) == scores.nbytes


def test_torch_uses_all_cores_unless_told_otherwise(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        opened(weights)
        assert torch.get_num_threads() == 1
        monkeypatch.delenv("OMP_NUM_THREADS")
        monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
        opened(weights)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
