"""Learned classes in the engines: the same numbers in each, and no change of the other classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect_fixtures import IMGSZ, noise_image, write_eager_detector
from learned_fixtures import CHANNELS, write_random_classes
from medrov_cli.core.engines.interface import RegionEngine
from medrov_cli.core.prediction.adapted_weights import NetworkColumns
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.records.detections import NO_CANDIDATE
from medrov_cli.core.records.regions import RegionColumns
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings
from tolerances import BOX_ATOL_PX, SCORE_ATOL
from weights_fixtures import unit_rows

TEXT = unit_rows(2, seed=3)
ANCHORS = 12 * 12 + 6 * 6 + 3 * 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def learned(weights: Path) -> RegionColumns:
    file = write_random_classes(weights.with_name("a.safetensors"), weights, ["a", "b"], vectors=2)
    return RegionColumns(file.kernels, file.constants, file.classes)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.stack([noise_image(number, IMGSZ, IMGSZ) for number in range(2)])


def opened(weights: Path, engine: str, learned: RegionColumns | None) -> RegionEngine:
    runtime = RuntimeSettings(device="cpu", engine=EngineName(engine))
    columns = None if learned is None else NetworkColumns(learned, alone=learned.alone)
    return WeightsFile.read(weights).open(TEXT, runtime, imgsz=IMGSZ, streams=1, learned=columns)


@pytest.mark.parametrize("name", ["torch", "onnx", "openvino"])
def test_learned_columns_leave_texts_equal_to_the_bit(
    name: str, weights: Path, learned: RegionColumns, images: np.ndarray
) -> None:
    alone, both = opened(weights, name, None), opened(weights, name, replace(learned, floor=0.5))
    for plain, found in zip(alone.infer(images, 0.2), both.infer(images, 0.2), strict=True):
        rows = len(plain.scores)
        assert rows
        assert len(found.scores) > rows
        np.testing.assert_array_equal(found.scores[:rows, :2], plain.scores)
        np.testing.assert_array_equal(found.boxes_xyxy[:rows], plain.boxes_xyxy)
        assert (found.scores[:rows, 2:] == NO_CANDIDATE).all()
        assert (found.scores[rows:, :2] == NO_CANDIDATE).all()
        assert (found.scores[rows:, 2:].max(1) >= 0.5 - SCORE_ATOL).all()


@pytest.mark.parametrize("name", ["torch", "onnx", "openvino"])
def test_learned_scores_follow_from_region_vectors(
    name: str, weights: Path, learned: RegionColumns, images: np.ndarray
) -> None:
    engine = opened(weights, name, replace(learned, alone=True))
    (regions,) = engine.regions(images[:1])
    (found,) = engine.infer(images[:1], 0.9)
    assert regions.vectors.shape == (ANCHORS, CHANNELS)
    assert found.scores.shape == (ANCHORS, 2)
    np.testing.assert_allclose(found.boxes_xyxy, regions.boxes_xyxy, atol=BOX_ATOL_PX)
    anchor = 150  # of the second level
    assert regions.levels[anchor] == 1
    logits = learned.kernels[1] @ regions.vectors[anchor] + learned.constants[1]
    expected = 1 / (1 + np.exp(-np.array([max(logits[:2]), max(logits[2:])])))
    np.testing.assert_allclose(found.scores[anchor], expected, atol=SCORE_ATOL)


def test_engines_agree_on_learned_classes(weights: Path, learned: RegionColumns, images: np.ndarray) -> None:
    own = replace(learned, alone=True)
    scores = [opened(weights, name, own).infer(images)[1].scores for name in ("torch", "onnx", "openvino")]
    np.testing.assert_allclose(scores[1], scores[0], atol=SCORE_ATOL * 10)
    np.testing.assert_allclose(scores[2], scores[0], atol=SCORE_ATOL * 10)


@given(counts=st.lists(st.integers(1, 3), min_size=1, max_size=4), seed=st.integers(0, 100))
def test_logit_of_a_class_is_the_largest_of_its_vectors(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(counts)), counts)
    kernels = rng.normal(size=(1, len(classes), 5)).astype(np.float32)
    constants = rng.normal(size=(1, len(classes))).astype(np.float32)
    rows = rng.normal(size=(4, 5)).astype(np.float32)
    every = rows @ kernels[0].T + constants[0]
    expected = np.stack([every[:, classes == row].max(1) for row in range(len(counts))], 1)
    np.testing.assert_array_equal(RegionColumns(kernels, constants, classes).logits(0, rows), expected)
