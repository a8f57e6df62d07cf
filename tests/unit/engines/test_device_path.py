"""The path of a GPU, on the CPU device: equal results, and a stand-in of CUDA for copies and graphs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from detect_fixtures import IMGSZ, noise_image, write_eager_detector
from medrov_cli.core.base.constants import DEFAULT_WEIGHTS
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.engines import device_selection, device_step, device_suppression
from medrov_cli.core.engines.device_letterbox import fits_device, place
from medrov_cli.core.engines.device_runner import CudaRunner
from medrov_cli.core.engines.device_suppression import suppress
from medrov_cli.core.engines.interface import SelectionRule
from medrov_cli.core.engines.open_engine import choose_engine
from medrov_cli.core.engines.torch_engine import TorchEngine, format_on
from medrov_cli.core.model.checkpoint import load_detector
from medrov_cli.core.model.fusion import fuse
from medrov_cli.core.model.loading import load_folded, load_folded_network
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.selection import per_class
from medrov_cli.core.records.detections import Candidates, ClassCandidates
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.regions import RegionColumns
from medrov_cli.core.records.suppression import nms
from medrov_cli.core.settings.choices import EngineName, Precision
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.weights.resolution import resolve
from tolerances import BOX_ATOL_PX, SCORE_ATOL
from weights_fixtures import unit_rows

TEXT = unit_rows(5, seed=3)
SQUARE = Letterbox.fit((IMGSZ, IMGSZ), IMGSZ)
THRESHOLDS = np.array([0.02, 0.05, 0.1, 0.02, 0.3])
IOU = 0.6


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.stack([noise_image(number, IMGSZ, IMGSZ) for number in range(5)])


def opened(weights: Path, **how: object) -> TorchEngine:
    text = load_folded(weights, TEXT)
    settings = {"device": "cpu", "precision": Precision.FP32} | how
    return TorchEngine(load_folded_network(weights), text, IMGSZ, **settings)


@pytest.fixture(scope="module")
def engine(weights: Path) -> TorchEngine:
    return opened(weights)


def by_hand(weights: Path, images: np.ndarray) -> list[Candidates]:
    """Return what the network itself computes: every class at every anchor, without folding."""
    with torch.inference_mode():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        outputs = load_detector(weights).detect_and_pool(pixels, torch.from_numpy(TEXT))
    return [Candidates(*own) for own in zip(*(output.numpy() for output in outputs), strict=True)]


def test_the_published_weights_differ_by_less_than_1e_5_from_the_fused_network() -> None:
    runtime = RuntimeSettings(device="cpu", engine=EngineName.TORCH, imgsz=224)
    squares = np.stack([noise_image(number, 224, 224) for number in range(2)])
    with Predictor.open(runtime=runtime) as predictor:
        found = predictor.engine.infer(squares)
        text = torch.from_numpy(predictor.classes.embeddings)
    with torch.inference_mode():
        pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
        boxes, scores, pooled = fuse(load_detector(resolve(DEFAULT_WEIGHTS))).detect_and_pool(pixels, text)
    for row, own in enumerate(found):
        np.testing.assert_allclose(own.scores, scores[row].numpy(), atol=1e-5)
        np.testing.assert_allclose(own.boxes_xyxy, boxes[row].numpy(), atol=1e-3)
        np.testing.assert_allclose(own.pooled, pooled[row].numpy(), atol=1e-5)


def detections(candidates: Candidates | ClassCandidates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    every = np.arange(len(THRESHOLDS))
    found = per_class(candidates, SQUARE, Scoring(THRESHOLDS), every, iou=IOU, max_det=300)
    return found.boxes_xyxy, found.scores, found.labels


def assert_equal_detections(first: list[ClassCandidates], second: list[Candidates]) -> int:
    count = 0
    for one, other in zip(first, second, strict=True):
        (boxes, scores, labels), (own_boxes, own_scores, own_labels) = detections(one), detections(other)
        np.testing.assert_array_equal(labels, own_labels)
        np.testing.assert_allclose(scores, own_scores, atol=SCORE_ATOL)
        np.testing.assert_allclose(boxes, own_boxes, atol=BOX_ATOL_PX)
        count += len(labels)
    return count


RULE = SelectionRule(THRESHOLDS, IOU)


def test_selection_on_the_device_gives_the_detections_of_the_network(
    engine: TorchEngine, weights: Path, images: np.ndarray
) -> None:
    found = engine.select(images, RULE)
    assert assert_equal_detections(found, by_hand(weights, images)) > 20
    assert all(one.is_suppressed for one in found)
    for one, other in zip(found, by_hand(weights, images), strict=True):
        np.testing.assert_allclose(one.pooled, other.pooled, rtol=1e-3, atol=SCORE_ATOL)


def test_only_pairs_above_their_thresholds_reach_the_host(engine: TorchEngine, images: np.ndarray) -> None:
    for found in engine.select(images, RULE):
        assert (found.scores >= THRESHOLDS[found.labels] - 1e-4).all()
        assert len(found.scores) == len(detections(found)[1])


@pytest.mark.parametrize(("anchors", "pairs"), [(8, 1024), (512, 8), (512, 100)])
def test_an_image_with_more_pairs_than_fit_is_selected_again(
    weights: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch, anchors: int, pairs: int
) -> None:
    monkeypatch.setattr(device_selection, "ANCHORS", anchors)
    monkeypatch.setattr(device_selection, "PAIRS", pairs)
    assert assert_equal_detections(opened(weights).select(images, RULE), by_hand(weights, images)) > 20


def test_many_pairs_are_suppressed_on_the_host(
    engine: TorchEngine, weights: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_selection, "PAIRS", 8)
    monkeypatch.setattr(device_step, "MOST_SUPPRESSED", 10)
    found = opened(weights).select(images, RULE)
    assert not all(one.is_suppressed for one in found)
    assert_equal_detections(found, by_hand(weights, images))


def test_thresholds_of_zero_and_one_select_all_pairs_and_none(
    engine: TorchEngine, images: np.ndarray
) -> None:
    (found,) = engine.select(images[:1], SelectionRule(np.array([0.0, 1, 1, 1, 1]), 1.0))
    assert (found.labels == 0).all()
    assert len(found.scores) == len(engine.infer(images[:1])[0].scores)


def test_learned_classes_have_columns_of_their_own(weights: Path, images: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    width = load_folded(weights, TEXT).kernels[0].shape[1]
    kernels = rng.normal(0, 0.5, (3, 3, width)).astype(np.float32)
    for alone in (False, True):
        learned = RegionColumns(
            kernels, np.full((3, 3), -3, np.float32), np.array([0, 0, 1]), floor=0.01, alone=alone
        )
        engine = opened(weights, learned=learned)
        thresholds = np.array(([] if alone else [0.05] * 5) + [0.3, 0.2])
        every = np.arange(len(thresholds))
        pairs = engine.select(images, SelectionRule(thresholds, IOU))
        dense = engine.infer(images, 0.01)
        for one, other in zip(pairs, dense, strict=True):
            mine, theirs = (
                per_class(own, SQUARE, Scoring(thresholds), every, iou=IOU, max_det=3000)
                for own in (one, other)
            )
            assert len(theirs)
            np.testing.assert_array_equal(mine.labels, theirs.labels)
            np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-5)


def test_a_predictor_gives_the_same_detections_with_both_interfaces(
    weights: Path, images: np.ndarray
) -> None:
    runtime = RuntimeSettings(device="cpu", engine=EngineName.TORCH)
    selection = SelectionSettings(conf=0.03, raw_scores=True)
    with Predictor.open(weights, ["a", "b"], runtime, selection) as predictor:
        prepared = [predictor.prepare(frame) for frame in _frames(images)]
        squares = np.stack([one.input_rgb for one in prepared])
        for one, pair, full in zip(
            prepared, predictor.infer(squares), predictor.infer_all_classes(squares), strict=True
        ):
            first, second = predictor.finish(one, pair), predictor.finish(one, full)
            np.testing.assert_array_equal(first.labels, second.labels)
            np.testing.assert_allclose(first.boxes_xyxy, second.boxes_xyxy, atol=5e-3)


def _frames(images: np.ndarray) -> Iterator[object]:
    from medrov_cli.core.records.frame import Frame

    return (Frame(image, "array") for image in images)


boxes_of = st.lists(
    st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 9)] * 2, st.integers(0, 4), st.integers(0, 2)),
    max_size=30,
)


@pytest.mark.parametrize("has_operator", [True, False])
@given(rows=boxes_of, iou=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_suppression_keeps_what_the_host_keeps(
    has_operator: bool, rows: list[tuple[int, ...]], iou: float
) -> None:
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    boxes = np.concatenate((table[:, :2], table[:, :2] + table[:, 2:4]), 1)
    scores, labels = table[:, 4] / 4, table[:, 5].astype(np.int64)
    expected = nms(boxes, scores, labels, iou, len(rows) + 1)
    with pytest.MonkeyPatch.context() as patch:
        if not has_operator:
            patch.setattr(device_suppression, "_operator", lambda _: None)
        tensors = (torch.from_numpy(values.copy()) for values in (boxes, scores, labels))
        np.testing.assert_array_equal(suppress(*tensors, iou).numpy(), expected)


def test_without_torchvision_the_own_suppression_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_suppression, "is_installed", lambda name: name != "torchvision")
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [9, 9, 12, 12]])
    kept = suppress(boxes, torch.tensor([0.5, 0.9, 0.1]), torch.zeros(3, dtype=torch.int64), 0.5)
    assert kept.tolist() == [1, 2]


@pytest.mark.parametrize("source", [(300, 400), (96, 96), (37, 90), (96, 41), (1000, 333)])
def test_the_letterbox_of_the_device_is_that_of_the_host(source: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*source, 3), dtype=np.uint8)
    letterbox = Letterbox.fit(source, IMGSZ)
    assert fits_device(letterbox)
    found = place(torch.from_numpy(image), letterbox).numpy().astype(int)
    expected = letterbox.apply(image).astype(int)
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.1


def test_huge_and_extreme_images_are_scaled_on_the_host() -> None:
    assert not fits_device(Letterbox.fit((9000, 9000), IMGSZ))
    assert not fits_device(Letterbox((1, 400), (IMGSZ, IMGSZ), (2, 96), (47, 0)))


class FakeCuda:
    """The functions of ``torch.cuda`` that the runner uses, in the order of the calls."""

    def __init__(self, *, can_record: bool = True) -> None:
        self.can_record = can_record
        self.calls: list[str] = []
        self.waits: list[object] = []
        cuda = self

        class Stream:
            def __init__(self, _device: object) -> None:
                self.name = f"stream{len([c for c in cuda.calls if c == 'stream'])}"
                cuda.calls.append("stream")

            def record_event(self) -> str:
                return f"event of {self.name}"

            def wait_event(self, event: str) -> None:
                cuda.waits.append((self.name, event))

            def synchronize(self) -> None:
                cuda.calls.append("synchronize")

        class CUDAGraph:
            def replay(self) -> None:
                cuda.calls.append("replay")
                self.again()

        self.Stream, self.CUDAGraph = Stream, CUDAGraph

    @contextmanager
    def stream(self, _stream: object) -> Iterator[None]:
        yield

    @contextmanager
    def graph(self, graph: object, *, stream: object, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        if not self.can_record:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        self.calls.append("record")
        yield


class Step:
    """A step that writes into fixed outputs, as a recorded one does."""

    def __init__(self) -> None:
        self.eager = 0

    def __call__(self, images: Tensor) -> Tensor:
        self.eager += 1
        return images.float().mean((1, 2, 3))


def test_a_shape_that_occurs_again_is_recorded_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, step = FakeCuda(), Step()
    monkeypatch.setattr("medrov_cli.core.engines.device_runner.SLOTS", 1)
    runner = CudaRunner(torch.device("cpu"), cuda=cuda)
    images = np.full((2, 4, 4, 3), 7, np.uint8)

    class Recorded(cuda.CUDAGraph):
        def again(self) -> None:
            pass

    cuda.CUDAGraph = Recorded
    for _ in range(4):
        assert runner.run(images, step, lambda out: out.tolist()) == [7, 7]
    assert cuda.calls.count("record") == 1
    assert cuda.calls.count("replay") == 3
    assert step.eager == 2  # the first pass, and the recording
    assert runner.run(images[:1], step, lambda out: out.tolist()) == [7]
    assert step.eager == 3, "another shape is computed until it occurs again"
    assert cuda.waits[0] == ("stream0", "event of stream1"), "the computation waits for the copy"


def test_a_pass_that_cannot_be_recorded_runs_without(
    weights: Path, images: np.ndarray, engine: TorchEngine
) -> None:
    cuda = FakeCuda(can_record=False)
    runner = CudaRunner(torch.device("cpu"), cuda=cuda)
    own = opened(weights, runner=runner)
    assert own.parallel_calls == 2
    with pytest.warns(RuntimeWarning, match="not recorded as a CUDA graph") as caught:
        results = [own.select(images, RULE) for _ in range(5)]
    assert len(caught) == 1
    assert not runner.uses_graphs
    for found in results:
        for one, other in zip(found, engine.select(images, RULE), strict=True):
            np.testing.assert_array_equal(one.scores, other.scores)


def test_two_slots_run_in_two_threads_and_keep_their_images_apart() -> None:
    runner = CudaRunner(torch.device("cpu"), cuda=FakeCuda(), uses_graphs=False)
    both = threading.Barrier(2, timeout=20)
    results: dict[int, list[float]] = {}

    def finish(out: Tensor) -> list[float]:
        both.wait()  # both batches are between copy and result
        return [float(value) for value in out]

    def call(value: int) -> None:
        images = np.full((3, 4, 4, 3), value, np.uint8)
        results[value] = runner.run(images, lambda images: images.float().mean((1, 2, 3)), finish)

    threads = [threading.Thread(target=call, args=(value,)) for value in (10, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {10: [10.0] * 3, 200: [200.0] * 3}


class Accelerator(TorchEngine):
    """The engine on the CPU device, treated as on a GPU."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self.is_accelerator = True


def test_a_stream_on_an_accelerator_gives_the_records_of_the_cpu(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number in range(7):
        path = tmp_path / f"{number}.png"
        path.write_bytes(cv2.imencode(".png", noise_image(number, 120 + number, 200))[1].tobytes())
        paths.append(str(path))
    paths.insert(3, str(tmp_path / "absent.png"))
    runtime = RuntimeSettings(device="cpu", engine=EngineName.TORCH, batch=2)
    selection = SelectionSettings(conf=0.03, raw_scores=True)
    with Predictor.open(weights, ["a", "b"], runtime, selection) as predictor:
        expected = list(predictor.stream(paths))

    def open_accelerator(network: object, text: object, *rest: object) -> TorchEngine:
        runner = CudaRunner(torch.device("cpu"), cuda=FakeCuda(), uses_graphs=False)
        return Accelerator(network, text, *rest, runner=runner)

    monkeypatch.setattr("medrov_cli.core.engines.torch_engine.TorchEngine", open_accelerator)
    with Predictor.open(weights, ["a", "b"], runtime, selection) as predictor:
        assert predictor.engine.is_accelerator
        found = list(predictor.stream(paths))
    assert [type(item) for item in found] == [type(item) for item in expected]
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if hasattr(a, "labels")]
    assert [one.frame.path for one, _ in pairs] == [other.frame.path for _, other in pairs]
    counts = [(len(one), len(other)) for one, other in pairs]
    # A grey level of rounding in the letterbox moves single scores over the threshold.
    assert sum(min(pair) for pair in counts) >= 0.9 * sum(max(pair) for pair in counts) > 10


@pytest.mark.parametrize(
    ("device", "asked", "chosen"),
    [("cuda", "auto", "fp16"), ("mps", "auto", "fp16"), ("cpu", "auto", "fp32"), ("cuda", "bf16", "bf16")],
)
def test_the_format_of_a_device(device: str, asked: str, chosen: str) -> None:
    assert format_on(device, Precision(asked)) == chosen


@pytest.mark.parametrize("engine", ["auto", "openvino", "onnx"])
def test_fp16_on_a_cpu_is_refused(engine: str) -> None:
    with pytest.raises(MedrovError, match="fp16 is for GPUs") as caught:
        choose_engine(RuntimeSettings("cpu", EngineName(engine), Precision.FP16))
    assert caught.value.code is ErrorCode.USAGE
    with pytest.raises(MedrovError, match="fp16 is for GPUs"):
        format_on("cpu", Precision.FP16)
