"""Engines: the same numbers as the network itself, alone and in batches."""

from __future__ import annotations

import hashlib
import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detect_fixtures import IMGSZ, noise_image, write_eager_detector
from medrov_cli.core.base.errors import CacheWarning, ErrorCode, MedrovError
from medrov_cli.core.engines.interface import Engine, score_bytes
from medrov_cli.core.engines.open_engine import choose_engine
from medrov_cli.core.engines.openvino_streams import computes_in_bf16
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.model.fusion import fuse
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.values import check_device
from medrov_cli.core.weights.container import load_tensors, read_metadata, save
from tolerances import BOX_ATOL_PX, SCORE_ATOL
from weights_fixtures import unit_rows

TEXT = unit_rows(5, seed=3)
ENGINES = ["torch", "onnx", "openvino"]
ANCHORS = 12 * 12 + 6 * 6 + 3 * 3  # 96 pixels in cells of 8, 16 and 32


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


def opened(
    weights: Path,
    engine: str = "torch",
    *,
    text: np.ndarray = TEXT,
    imgsz: int = IMGSZ,
    streams: int = 1,
    **how: object,
) -> Engine:
    runtime = RuntimeSettings(engine=EngineName(engine), **how)
    return WeightsFile.read(weights).open(text, runtime, imgsz=imgsz, streams=streams)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, weights: Path) -> Engine:
    return opened(weights, request.param, device="cpu", streams=2)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.stack([noise_image(number, IMGSZ, IMGSZ) for number in range(5)])


def stacked(engine: Engine, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores at every anchor of every image."""
    found = engine.infer(images)
    return np.stack([one.boxes_xyxy for one in found]), np.stack([one.scores for one in found])


def test_an_engine_gives_what_the_network_gives(engine: Engine, weights: Path, images: np.ndarray) -> None:
    boxes, scores = stacked(engine, images)
    assert (boxes.shape, scores.shape) == ((5, ANCHORS, 4), (5, ANCHORS, 5))
    assert (boxes.dtype, scores.dtype) == (np.float32, np.float32)
    assert 0.1 < scores.max() <= 1
    with torch.inference_mode():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        expected_boxes, expected_scores = load_detector(weights).detect(pixels, torch.from_numpy(TEXT))
    np.testing.assert_allclose(boxes, expected_boxes.numpy(), atol=BOX_ATOL_PX)
    np.testing.assert_allclose(scores, expected_scores.numpy(), atol=SCORE_ATOL)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_rectangles_give_what_the_network_gives(weights: Path, name: str) -> None:
    engine = opened(weights, name, device="cpu", streams=2, rectangles=True)
    sizes = [(64, 96), (96, 96), (96, 32), (64, 96), (32, 96)]
    inputs = [noise_image(number, *size) for number, size in enumerate(sizes)]
    found = engine.infer(inputs)  # type: ignore[arg-type] - such an engine takes lists
    network = load_detector(weights)
    for own, image in zip(found, inputs, strict=True):
        with torch.inference_mode():
            pixels = torch.from_numpy(image[None]).permute(0, 3, 1, 2).float() / 255
            boxes, scores = network.detect(pixels, torch.from_numpy(TEXT))
        np.testing.assert_allclose(own.boxes_xyxy, boxes[0].numpy(), atol=BOX_ATOL_PX)
        np.testing.assert_allclose(own.scores, scores[0].numpy(), atol=SCORE_ATOL)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_an_engine_keeps_few_sizes(weights: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"medrov_cli.core.engines.{name}_engine.MOST_SIZES", 2)
    engine = opened(weights, name, device="cpu", streams=2, rectangles=True)
    inputs = [noise_image(number, 96, 32 * (1 + number % 3)) for number in range(7)]
    first, again = (engine.infer(inputs) for _ in range(2))  # type: ignore[arg-type]
    for own, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(own.scores, other.scores)


@pytest.mark.parametrize("name", ENGINES)
def test_weights_without_a_bottleneck_are_refused_by_every_engine(
    weights: Path, tmp_path: Path, name: str
) -> None:
    tensors = load_tensors(weights)
    lost = "model.4.m.1.cv1.conv.weight"
    path = tmp_path / "damaged.safetensors"
    save(path, {own: value for own, value in tensors.items() if own != lost}, read_metadata(weights))
    with pytest.raises(MedrovError, match=lost) as caught:
        opened(path, name, device="cpu")
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT


def test_torch_takes_no_rectangles(weights: Path) -> None:
    with pytest.raises(MedrovError, match="rectangles: the torch engine computes squares only"):
        opened(weights, "torch", device="cpu", rectangles=True)


def test_a_batch_gives_what_single_images_give(engine: Engine, images: np.ndarray) -> None:
    boxes, scores = stacked(engine, images)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    for row in range(len(images)):
        alone_boxes, alone_scores = stacked(engine, images[row : row + 1])
        # The last bits of torch differ: that is why a resumed run repeats an undisturbed one's batches.
        np.testing.assert_allclose(boxes[row], alone_boxes[0], atol=BOX_ATOL_PX)
        np.testing.assert_allclose(scores[row], alone_scores[0], atol=SCORE_ATOL)


@given(seed=st.integers(0, 1000), floor=st.floats(0.0, 1.0))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_floor_leaves_out_exactly_the_anchors_below_it(engine: Engine, seed: int, floor: float) -> None:
    image = noise_image(seed, IMGSZ, IMGSZ)[None]
    (everything,) = engine.infer(image)
    (found,) = engine.infer(image, floor)
    best = everything.scores.max(1)
    sure = best >= floor + 1e-6  # an anchor within rounding of the floor may fall on either side
    assert sure.sum() <= len(found.scores) <= (best >= floor - 1e-6).sum()
    if len(found.scores) == sure.sum():
        np.testing.assert_array_equal(found.boxes_xyxy, everything.boxes_xyxy[sure])
        # The product of fewer rows may be summed in another order.
        np.testing.assert_allclose(found.scores, everything.scores[sure], atol=1e-6)


def test_folded_batch_norms_change_nothing_but_the_speed(weights: Path, images: np.ndarray) -> None:
    plain, folded = load_detector(weights), fuse(load_detector(weights))
    assert len(list(folded.parameters())) < len(list(plain.parameters()))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        boxes, scores = plain.detect(pixels, torch.from_numpy(TEXT))
        folded_boxes, folded_scores = folded.detect(pixels, torch.from_numpy(TEXT))
    np.testing.assert_allclose(folded_boxes.numpy(), boxes.numpy(), atol=BOX_ATOL_PX)
    np.testing.assert_allclose(folded_scores.numpy(), scores.numpy(), atol=SCORE_ATOL)


def test_the_order_of_colours_matters(engine: Engine, images: np.ndarray) -> None:
    there, mirrored = stacked(engine, images)[1], stacked(engine, images[..., ::-1])[1]
    assert np.abs(there - mirrored).max() > 1e-3


def test_an_engine_leaves_images_and_classes_as_they_were(engine: Engine, images: np.ndarray) -> None:
    before, text = images.copy(), TEXT.copy()
    first = stacked(engine, images)
    second = stacked(engine, images)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(TEXT, text)
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bf16_is_close_and_named(weights: Path, images: np.ndarray, name: str) -> None:
    if name == "openvino" and not computes_in_bf16():
        pytest.skip("this CPU does not compute in bf16")
    half = opened(weights, name, device="cpu", precision=Precision.BF16)
    whole = opened(weights, name, device="cpu")
    assert (whole.name, half.name) == (f"{name}-cpu", f"{name}-cpu-bf16")
    difference = np.abs(stacked(half, images)[1] - stacked(whole, images)[1])
    assert 0 < np.median(difference) < 0.05


def test_a_limit_of_the_instruction_set_counts_for_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not computes_in_bf16()


@pytest.mark.parametrize(
    ("engine", "device", "precision", "chosen"),
    [
        ("auto", "cpu", "fp32", "openvino"),
        ("auto", "cpu", "bf16", "openvino"),
        ("auto", "cuda", "fp32", "torch"),
        ("auto", "mps", "fp32", "torch"),
        ("torch", "cpu", "bf16", "torch"),
        ("onnx", "auto", "fp32", "onnx"),
        ("openvino", "cpu", "bf16", "openvino"),
    ],
)
def test_which_engine_is_chosen(engine: str, device: str, precision: str, chosen: str) -> None:
    assert choose_engine(RuntimeSettings(device, EngineName(engine), Precision(precision))) == chosen


def test_without_openvino_and_onnxruntime_torch_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"openvino"}
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in absent else found(name))
    assert choose_engine(RuntimeSettings("cpu", EngineName.AUTO, Precision.FP32)) == "onnx"
    assert choose_engine(RuntimeSettings("cpu", EngineName.AUTO, Precision.BF16)) == "torch"
    absent.add("onnxruntime")
    assert choose_engine(RuntimeSettings("cpu", EngineName.AUTO, Precision.FP32)) == "torch"
    with pytest.raises(MedrovError, match="--engine openvino needs openvino, which") as caught:
        choose_engine(RuntimeSettings("cpu", EngineName.OPENVINO, Precision.FP32))
    assert caught.value.code is ErrorCode.DEPENDENCY_MISSING


@pytest.mark.parametrize(
    ("engine", "device", "precision"),
    [("onnx", "cuda", "fp32"), ("openvino", "mps", "fp32"), ("onnx", "cpu", "bf16")],
)
def test_what_an_engine_cannot_do_is_refused(engine: str, device: str, precision: str) -> None:
    with pytest.raises(MedrovError, match=f"--engine {engine}") as caught:
        choose_engine(RuntimeSettings(device, EngineName(engine), Precision(precision)))
    assert caught.value.code is ErrorCode.USAGE


class TestCompiledModels:
    """The cache of compiled models: faster, and never wrong."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("MEDROV_CACHE", str(tmp_path))
        return tmp_path / "engines"

    def test_a_second_run_neither_builds_nor_compiles(
        self, weights: Path, images: np.ndarray, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = stacked(opened(weights, "openvino"), images)
        (blob,) = folder.iterdir()
        monkeypatch.setattr("medrov_cli.core.model.graph.detector.build_graph", _never)
        second = stacked(opened(weights, "openvino"), images)
        np.testing.assert_array_equal(first[1], second[1])
        other = opened(weights, "openvino", text=unit_rows(3, seed=9))
        assert other.infer(images[:1])[0].scores.shape == (ANCHORS, 3)  # one blob serves every vocabulary
        assert list(folder.iterdir()) == [blob]

    def test_a_damaged_file_is_replaced(self, weights: Path, images: np.ndarray, folder: Path) -> None:
        first = stacked(opened(weights, "openvino"), images)
        (blob,) = folder.iterdir()
        good = blob.read_bytes()
        blob.write_bytes(good[: len(good) // 2])
        with pytest.warns(CacheWarning, match="is damaged"):
            again = stacked(opened(weights, "openvino"), images)
        np.testing.assert_array_equal(again[1], first[1])
        replaced = blob.read_bytes()
        assert hashlib.sha256(replaced[32:]).digest() == replaced[:32], "the file is whole"
        # OpenVINO numbers the layers of a process in their names: a later compilation has longer ones.
        assert len(replaced) == pytest.approx(len(good), rel=1e-3)

    def test_another_size_or_format_is_another_model(self, weights: Path, folder: Path) -> None:
        opened(weights, "openvino")
        opened(weights, "openvino", imgsz=64)
        opened(weights, "openvino", streams=2)
        assert len(list(folder.iterdir())) == 3

    def test_the_folder_does_not_grow_for_ever(
        self, weights: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("medrov_cli.core.engines.compiled_cache.MAX_COMPILED", 2)
        for imgsz in (32, 64, 96):
            opened(weights, "openvino", imgsz=imgsz)
        assert len(list(folder.iterdir())) == 2

    def test_a_folder_that_cannot_be_written_is_no_failure(
        self, weights: Path, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "file"))
        assert len(opened(weights, "openvino").infer(images)) == len(images)


SIGNAL_AFTER_ENGINES = """
import signal, sys
from pathlib import Path
import numpy as np
from medrov_cli.core.prediction.model_file import WeightsFile
from medrov_cli.core.settings.choices import EngineName
from medrov_cli.core.settings.groups import RuntimeSettings

text = np.eye(2, 512, dtype=np.float32)
engines = [
    WeightsFile.read(Path(sys.argv[1])).open(
        text, RuntimeSettings(engine=EngineName.OPENVINO), imgsz=imgsz, streams=1
    )
    for imgsz in (32, 64)
]
del engines[0]  # the first one first: each has put its own signal stack in the place of the one before
del engines[0]
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(True))
signal.raise_signal(signal.SIGUSR1)
print(heard)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of POSIX")
def test_a_signal_after_engines_are_gone_kills_nothing(weights: Path) -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", SIGNAL_AFTER_ENGINES, str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[True]\n"), done.stderr


def _never(*_args: object) -> None:
    raise AssertionError("the graph was built again")


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
    _, scores = stacked(engine, images[:1])
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
