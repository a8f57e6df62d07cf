"""The predictor: one result a frame in order, whatever the inputs, batches, threads and failures."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

import medrov_cli
from detect_fixtures import IMGSZ, noise_image, write_eager_detector
from fake_engines import FakeEngine
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.stream import OnFailure
from medrov_cli.core.records.detections import Candidates, Detections, Failure
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.choices import EngineName, Modality
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings

CPU = RuntimeSettings(device="cpu", engine=EngineName.ONNX)
LOW = SelectionSettings(conf=0.2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor.open(weights, ["polyp", "lung nodule/nodule"], CPU, LOW)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return three images, a file that is none, and a last image."""
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), noise_image(number))
    paths[3].write_bytes(b"no image")
    return paths


def brightness(batches: list[int]) -> FakeEngine:
    """Return an engine that finds the whole image with its mean grey as score, and notes the batches."""

    def find(images: np.ndarray, _floor: float) -> list[Candidates]:
        batches.append(len(images))
        box = np.array([[0, 0, 32, 32]], np.float32)
        return [Candidates(box, np.full((1, 1), image.mean() / 255, np.float32)) for image in images]

    return FakeEngine(32, find)


def grey(value: int) -> np.ndarray:
    return np.full((32, 32, 3), value, np.uint8)


def rows(found: Detections) -> list[tuple[list[float], float, int]]:
    return list(zip(found.boxes_xyxy.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True))


def test_an_array_a_frame_a_path_and_a_source_give_the_same(predictor: Predictor, files: list[Path]) -> None:
    pixels = cv2.imread(str(files[0]))[..., ::-1].copy()
    by_array, by_frame, by_path = predictor.predict([pixels, Frame(pixels, "a", index=2), files[0]])
    assert len(by_array) > 3
    assert rows(by_array) == rows(by_frame) == rows(by_path)
    assert (by_frame.frame.path, by_frame.frame.index) == ("a", 2)
    assert by_path.frame.path == str(files[0])
    assert (by_path.frame.height, by_path.frame.width) == pixels.shape[:2]
    assert not by_path.frame.pixels_rgb.any()
    (kept,) = predictor.stream([files[0]], keep_pixels=True)
    np.testing.assert_array_equal(kept.frame.pixels_rgb, pixels)
    assert set(by_path.class_names) <= {"polyp", "lung nodule/nodule"}
    assert by_path.model.name == "eager"
    assert by_path.elapsed_ms > 0


def test_one_image_may_be_given_alone(predictor: Predictor, files: list[Path]) -> None:
    pixels = cv2.imread(str(files[0]))[..., ::-1].copy()
    expected = rows(predictor.predict([pixels])[0])
    for image in (pixels, pixels[None], files[0], str(files[0]), Frame(pixels, "a")):
        (found,) = predictor.predict(image)
        assert rows(found) == expected


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_an_array_that_is_no_image_is_refused(predictor: Predictor, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        predictor.predict([image])


@pytest.mark.parametrize(
    ("image", "shape"),
    [(np.zeros((384, 384), np.uint8), "384, 384"), (np.zeros((2, 4, 4, 1), np.uint8), "4, 4, 1")],
)
def test_the_shape_of_an_array_that_is_no_image_is_said(
    predictor: Predictor, image: np.ndarray, shape: str
) -> None:
    with pytest.raises(ValueError, match=f"not uint8 .{shape}"):
        predictor.predict(image)


@pytest.mark.parametrize("image", [b"image", None, PIL.Image.new("RGB", (8, 8)), 3.5])
def test_an_object_that_is_no_image_is_a_failure_in_its_place(predictor: Predictor, image: object) -> None:
    kind = type(image).__name__
    with pytest.raises(TypeError, match=f"not {kind}"):
        predictor.predict(image)
    wrong = np.zeros((4, 4), np.uint8)
    first, other, array, last = predictor.stream([noise_image(0), image, wrong, noise_image(0)])
    assert rows(first) == rows(last)
    assert isinstance(other, Failure)
    assert isinstance(array, Failure)
    assert (other.path, other.error.code) == (kind, ErrorCode.UNSUPPORTED_FORMAT)
    assert "not uint8 (4, 4)" in array.error.message
    with pytest.raises(MedrovError, match=f"not {kind}"):
        list(predictor.stream([image], on_failure="raise"))


def test_a_stream_takes_one_image(predictor: Predictor, files: list[Path]) -> None:
    pixels = cv2.imread(str(files[0]))[..., ::-1].copy()
    for image in (str(files[0]), files[0], pixels, Frame(pixels, "a")):
        (found,) = predictor.stream(image)
        assert rows(found) == rows(predictor.predict(image)[0])


def test_classes_in_one_text_are_those_of_the_command_line(weights: Path) -> None:
    with Predictor.open(weights, "polyp, lung nodule/nodule", CPU, LOW) as predictor:
        assert predictor.classes.names == ("polyp", "lung nodule/nodule")
    for classes in (["polyp", "Polyp"], "polyp,polyp", ["polyp", 1], ""):
        with pytest.raises(MedrovError) as caught:
            Predictor.open(weights, classes, CPU, LOW)  # type: ignore[arg-type]
        assert caught.value.code is ErrorCode.USAGE


@pytest.mark.parametrize(
    "settings",
    [
        SelectionSettings(conf=50),
        SelectionSettings(conf=float("nan")),
        SelectionSettings(conf=np.float32(2)),
        SelectionSettings(conf="0.5"),
        SelectionSettings(iou=-1),
        SelectionSettings(iou=None),
        SelectionSettings(max_det=0),
        SelectionSettings(max_det=1.5),
        RuntimeSettings(batch=-3),
        RuntimeSettings(imgsz=100),
        RuntimeSettings(imgsz=320.0),
        RuntimeSettings(device="gpu"),
        RuntimeSettings(precision="fp64"),
        RuntimeSettings(engine="tensorrt"),
    ],
    ids=repr,
)
def test_values_that_the_command_line_refuses_are_refused(
    weights: Path, settings: SelectionSettings | RuntimeSettings
) -> None:
    name = "selection" if isinstance(settings, SelectionSettings) else "runtime"
    with pytest.raises(
        MedrovError, match="--(conf|iou|max-det|batch|imgsz|device|precision|engine) "
    ) as caught:
        Predictor.open(weights, ["polyp"], **{name: settings})
    assert caught.value.code is ErrorCode.USAGE


def test_a_batch_gives_what_single_images_give(weights: Path) -> None:
    images = [noise_image(number) for number in range(5)]
    runtime = RuntimeSettings(device="cpu", engine=EngineName.ONNX, batch=4)
    with Predictor.open(weights, ["polyp"], runtime, LOW) as predictor:
        together = predictor.predict(images)
        streamed = list(predictor.stream(images, batch=3))
        for image, *several in zip(images, together, streamed, strict=True):
            (single,) = predictor.predict(image)
            for found in several:
                assert found.labels.tolist() == single.labels.tolist()
                np.testing.assert_allclose(found.boxes_xyxy, single.boxes_xyxy, atol=0.01)
                np.testing.assert_allclose(found.scores, single.scores, atol=1e-4)


def test_every_slice_of_a_file_is_a_result(predictor: Predictor) -> None:
    volume = Path(__file__).parents[3] / "examples" / "ct_volume.nii.gz"
    frames = list(medrov_cli.read_frames(volume))
    found = predictor.predict(volume)
    assert [one.frame.index for one in found] == [frame.index for frame in frames]
    assert len(found) == frames[0].frame_count > 1


def test_a_failure_is_an_item_in_its_place(predictor: Predictor, files: list[Path]) -> None:
    items = list(predictor.stream(files))
    assert [isinstance(item, Failure) for item in items] == [False, False, False, True, False]
    assert (items[3].path, items[3].error.code) == (str(files[3]), ErrorCode.UNSUPPORTED_FORMAT)
    assert [item.frame.path for item in items if isinstance(item, Detections)] == [
        str(path) for path in files if path != files[3]
    ]


def test_a_failure_ends_the_stream_or_is_raised(predictor: Predictor, files: list[Path]) -> None:
    stopped = list(predictor.stream(files, on_failure="stop"))
    assert [isinstance(item, Failure) for item in stopped] == [False, False, False, True]
    stream = predictor.stream(files, on_failure="raise")
    assert [next(stream).frame.path for _ in range(3)] == [str(path) for path in files[:3]]
    with pytest.raises(MedrovError, match="The file name indicates PNG"):
        next(stream)
    with pytest.raises(MedrovError, match="The file name indicates PNG"):
        predictor.predict(files)


@pytest.mark.parametrize(
    ("batch_by", "on_failure", "expected"),
    [
        ("readable", "record", [2, 2, 1]),
        ("position", "record", [1, 2, 1, 1]),
        ("readable", "stop", [1]),
    ],
)
def test_a_failure_takes_a_place_in_a_batch_only_by_position(
    tmp_path: Path, batch_by: str, on_failure: OnFailure, expected: list[int]
) -> None:
    batches: list[int] = []
    predictor = Predictor.from_engine(brightness(batches), ["thing"], SelectionSettings(conf=0.01))
    images = [grey(10), tmp_path / "absent", *(grey(value) for value in (20, 30)), tmp_path / "absent"]
    images += [grey(40), grey(50)]
    items = list(predictor.stream(images, batch=2, batch_by=batch_by, on_failure=on_failure))
    assert batches == expected
    shown = [None if isinstance(item, Failure) else round(255 * float(item.scores[0])) for item in items]
    assert shown == [10, None, 20, 30, None, 40, 50][: len(items)]


def test_a_stream_is_read_ahead_in_bounded_number() -> None:
    made, batches = [0], []
    predictor = Predictor.from_engine(brightness(batches), ["thing"], SelectionSettings(conf=0.0))

    def images() -> object:
        for value in range(200):
            made[0] += 1
            yield grey(value)

    with closing(predictor.stream(images(), batch=4, threads=2)) as stream:
        for number, item in enumerate(stream):
            assert item.scores[0] == pytest.approx(number / 255, abs=1e-6)
            assert made[0] - number <= 4 + 2 * 4 + 3
            if number == 100:
                break


def test_several_threads_predict_at_once_and_the_engine_runs_one_call_at_a_time() -> None:
    running, most, lock = [0], [0], threading.Lock()
    plain = brightness([])

    def find(images: np.ndarray, floor: float) -> list[Candidates]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        found = plain.find(images, floor)
        with lock:
            running[0] -= 1
        return found

    predictor = Predictor.from_engine(FakeEngine(32, find), ["thing"], SelectionSettings(conf=0.0))

    def score(value: int) -> float:
        (found,) = predictor.predict(grey(value))
        return float(found.scores[0])

    with ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(score, range(64)))
    assert scores == pytest.approx([value / 255 for value in range(64)], abs=1e-6)
    assert most == [1]


def test_a_closed_predictor_ends_its_streams_and_refuses_more(files: list[Path]) -> None:
    with Predictor.from_engine(brightness([]), ["thing"], SelectionSettings()) as predictor:
        stream = predictor.stream(files * 20)
        next(stream)
    assert list(stream) == []
    with pytest.raises(ValueError, match="closed"):
        predictor.predict(files[0])


ABANDONED = """
import sys
from medrov_cli import Predictor, SelectionSettings
sys.path.insert(0, sys.argv[1])
from fake_engines import FakeEngine
predictor = Predictor.from_engine(FakeEngine(32), ["thing"], SelectionSettings())
for item in predictor.stream([sys.argv[2]] * 100):
    raise ZeroDivisionError
"""


def test_a_program_that_fails_within_a_stream_ends(files: list[Path]) -> None:
    tests = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", ABANDONED, tests, str(files[0])]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_classes_are_names_vectors_or_those_of_the_model(weights: Path) -> None:
    image = noise_image(0)
    own = Predictor.open(weights, None, CPU, LOW)
    assert own.classes.names == ("lung nodule", "polyp", "red blood cell")
    by_vector = ClassList.from_embeddings(own.classes.names, own.classes.embeddings)
    (expected,), (found,) = own.predict(image), Predictor.open(weights, by_vector, CPU, LOW).predict(image)
    assert rows(found) == rows(expected)
    ct = Frame(image, "a", modality=Modality.CT)
    assert set(own.predict(ct)[0].class_names) == {"lung nodule"}
    named = Predictor.open(weights, ["red blood cell"], CPU, LOW)
    assert "not expected in CT" in named.predict(ct)[0].frame.warnings[0]


def test_the_size_of_the_input_can_be_chosen(weights: Path) -> None:
    runtime = RuntimeSettings(device="cpu", engine=EngineName.ONNX, imgsz=64)
    with Predictor.open(weights, ["polyp"], runtime) as predictor:
        assert predictor.engine.imgsz == predictor.identity.imgsz == 64 != IMGSZ


@pytest.mark.parametrize(
    ("boxes", "scores", "labels", "message"),
    [
        (np.zeros((2, 4)), np.zeros(1), np.zeros(1, np.int64), "boxes_xyxy has the shape"),
        (np.zeros((1, 4)), np.zeros(1), np.zeros(2, np.int64), "labels has the shape"),
        (np.zeros((1, 4), int), np.zeros(1), np.zeros(1, np.int64), "boxes_xyxy is int64"),
        (np.zeros((1, 4)), np.zeros(1), np.zeros(1), "labels is float64"),
        (np.zeros((1, 4)), np.zeros(1), np.ones(1, np.int64), "labels are not indices of 1 classes"),
    ],
)
def test_detections_are_checked(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(boxes, scores, labels, ("thing",))


def test_some_detections_are_taken() -> None:
    found = Detections(
        np.arange(12.0).reshape(3, 4), np.array([0.9, 0.5, 0.1]), np.array([1, 0, 1]), ("a", "b")
    )
    assert found.subset(found.scores < 0.8).class_names == ("a", "b")
    assert found.subset(np.array([2])).boxes_xyxy.tolist() == [[8, 9, 10, 11]]
