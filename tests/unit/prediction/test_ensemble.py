"""Whole images through one or several views: source pixels, mirror images, sizes, calibration."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_engines import FakeEngine, Find
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.datasets.laterality import mirror_rows
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.ensemble import Ensemble, View
from medrov_cli.core.prediction.open_predictor import PredictorParts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.pseudolabeling.search import search_samples
from medrov_cli.core.records.box_maps import BoxMap
from medrov_cli.core.records.boxes import flip_boxes
from medrov_cli.core.records.detections import Candidates, Detections
from medrov_cli.core.runs.detection_journal import DetectionJournal
from medrov_cli.core.settings.groups import RuntimeSettings
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.settings.label_rule import LabelRule
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings
from weights_fixtures import made_up_calibration

CLASSES = ("left lung", "right lung", "heart", "left kidney")
RAW = Scoring(np.full(4, 0.5))


def view(
    find: Find,
    side: int,
    class_ids: np.ndarray,
    scoring: Scoring = RAW,
    *,
    is_mirrored: bool = False,
    rectangles: bool = False,
) -> View:
    classes = ClassList.from_embeddings(CLASSES)
    parts = PredictorParts(FakeEngine(side, find), classes, scoring, rectangles=rectangles)
    return View(Predictor(parts), class_ids, is_mirrored)


def white_square(score_of: Callable[[float], tuple[int, float]]) -> Find:
    """Return a detector of the bright part: its class and score depend on where its centre is, 0 to 1."""

    def predict(images: np.ndarray, _floor: float) -> list[Candidates]:
        boxes = np.zeros((len(images), 1, 4), np.float32)
        scores = np.zeros((len(images), 1, len(CLASSES)), np.float32)
        for row, image in enumerate(images):
            ys, xs = np.nonzero(image[..., 0] > 200)
            boxes[row, 0] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
            label, score = score_of((xs.min() + xs.max() + 1) / 2 / image.shape[1])
            scores[row, 0, label] = score
        return [Candidates(box, score) for box, score in zip(boxes, scores, strict=True)]

    return predict


def picture(folder: Path, name: str = "1.png", left: int = 10) -> Sample:
    """Return an image of 80 x 40 pixels with a white square of 10 from (``left``, 5)."""
    image = np.zeros((40, 80, 3), np.uint8)
    image[5:15, left : left + 10] = 255
    cv2.imwrite(str(folder / name), image)
    none, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    return Sample(0, 1, folder / name, 40, 80, none, labels, None, labels.astype(np.float32), none, labels)


def look(
    sample: Sample, views: list[View], rule: LabelRule | None = None
) -> list[tuple[list[float], str, float]]:
    (found,) = Ensemble(views, rule or LabelRule(score=0.5)).stream([sample], batch=1, on_failure="raise")
    rows = zip(found.boxes_xyxy.tolist(), found.labels, found.scores, strict=True)
    return [(box, CLASSES[label], round(float(score), 4)) for box, label, score in rows]


def by_side(x: float) -> tuple[int, float]:
    """Say what a radiologist would: what is on the left of the picture is the patient's right."""
    return (1, 0.9) if x < 0.5 else (0, 0.8)


@pytest.mark.parametrize("side", [80, 160, 320])
def test_boxes_are_in_pixels_of_the_stored_image(tmp_path: Path, side: int) -> None:
    own_view = view(white_square(by_side), side, np.arange(4))
    ((box, label, score),) = look(picture(tmp_path), [own_view])
    assert box == pytest.approx([10, 5, 20, 15], abs=80 / side)
    assert (label, score) == ("right lung", 0.9)


def test_a_mirror_image_exchanges_left_and_right(tmp_path: Path) -> None:
    mirror = mirror_rows(CLASSES)
    sample = picture(tmp_path)
    flipped = view(white_square(by_side), 80, mirror, is_mirrored=True)
    ((box, label, score),) = look(sample, [flipped])
    # In the mirror image the square is on the right, which is called the left lung, with 0.8.
    assert box == [10, 5, 20, 15]
    assert (label, score) == ("right lung", 0.8)
    both = [view(white_square(by_side), 80, np.arange(4)), flipped]
    assert look(sample, both) == [([10.0, 5.0, 20.0, 15.0], "right lung", 0.9)]


def test_a_box_map_is_that_of_the_image_that_the_network_saw(tmp_path: Path) -> None:
    """The map of a column moves its boxes to the right by their width: in the mirror image, too."""
    moved = BoxMap((0.0, 0.0), (1.0, 1.0), (*(0.0,) * 8, 1.0, 0.0, 0.0, 0.0))
    own = replace(RAW, box_maps=(moved, moved, None, None))
    mirror = mirror_rows(CLASSES)
    sample = picture(tmp_path)
    for side in (80, 320):
        ((box, *_),) = look(sample, [view(white_square(by_side), side, np.arange(4), own)])
        assert box == pytest.approx([20, 5, 30, 15], abs=1)
        ((box, *_),) = look(sample, [view(white_square(by_side), side, mirror, own, is_mirrored=True)])
        assert box == pytest.approx([0, 5, 10, 15], abs=1)


def test_rectangles_change_nothing_but_the_input(tmp_path: Path) -> None:
    shapes: list[tuple[int, ...]] = []

    def seen(images: np.ndarray, floor: float) -> list[Candidates]:
        shapes.extend(image.shape[:2] for image in images)
        return white_square(by_side)(images, floor)

    views = [
        view(seen, 320, ids, is_mirrored=is_mirrored, rectangles=True)
        for ids, is_mirrored in ((np.arange(4), False), (mirror_rows(CLASSES), True))
    ]
    tall = picture(tmp_path, "2.png")
    cv2.imwrite(str(tall.image_path), cv2.imread(str(tall.image_path)).transpose(1, 0, 2))
    samples = [picture(tmp_path), replace(tall, height=80, width=40)]
    found = list(Ensemble(views, LabelRule(score=0.5)).stream(samples, batch=2, on_failure="raise"))
    assert shapes == [(192, 320), (320, 192)] * 2
    assert [own.boxes_xyxy.round().tolist() for own in found] == [[[10, 5, 20, 15]], [[5, 10, 15, 20]]]


def test_a_detector_that_calls_both_sides_the_same_does_not_agree_with_itself(tmp_path: Path) -> None:
    confused = white_square(lambda _: (0, 0.9))
    views = [
        view(confused, 160, np.arange(4)),
        view(confused, 160, mirror_rows(CLASSES), is_mirrored=True),
    ]
    assert look(picture(tmp_path), views) == []
    assert len(look(picture(tmp_path), views, LabelRule(score=0.5, agree=1))) == 1


def test_a_class_whose_mirror_image_is_no_class_is_taken_from_the_straight_view(tmp_path: Path) -> None:
    kidney = white_square(lambda _: (3, 0.9))
    views = [
        view(kidney, 160, np.arange(4)),
        view(kidney, 160, mirror_rows(CLASSES), is_mirrored=True),
    ]
    assert [label for _, label, _ in look(picture(tmp_path), views)] == ["left kidney"]
    assert look(picture(tmp_path), views[1:]) == []


def test_views_of_other_sizes_and_detectors_must_agree(tmp_path: Path) -> None:
    views = [view(white_square(by_side), side, np.arange(4)) for side in (80, 160, 320)]
    blind = view(white_square(lambda _: (1, 0.1)), 160, np.arange(4))
    assert len(look(picture(tmp_path), views)) == 1
    assert look(picture(tmp_path), [*views, blind]) == []
    assert len(look(picture(tmp_path), [*views, blind], LabelRule(agree=3))) == 1


def test_calibrated_scores_have_a_raw_threshold_for_each_class(tmp_path: Path) -> None:
    own = made_up_calibration()
    names = [("lung nodule",), ("red blood cell",), ("other",), ("more",)]
    maps = tuple(own.for_name(group) for group in names)
    scoring = Scoring(np.array([one.raw_threshold(0.75) for one in maps]), maps)
    # Nodules' scores are halved: never 0.75. Cells: raw 0.2 to 0.6 is 0 to 1, so 0.75 is 0.5.
    assert scoring.thresholds[0] > 1
    assert scoring.thresholds[1] == pytest.approx(0.5)
    for label, raw, expected in ((0, 1.0, []), (1, 0.49, []), (1, 0.54, [0.85]), (1, 0.9, [1.0])):
        own_view = view(white_square(lambda _, at=(label, raw): at), 160, np.arange(4), scoring)
        assert [score for *_, score in look(picture(tmp_path), [own_view])] == pytest.approx(expected)


def test_mirrored_twice_is_where_it_was() -> None:
    boxes = np.array([[1, 2, 5, 9], [0, 0, 10, 10]], dtype=np.float32)
    assert flip_boxes(boxes, 10).tolist() == [[5, 2, 9, 9], [0, 0, 10, 10]]
    assert flip_boxes(flip_boxes(boxes, 10), 10).tolist() == boxes.tolist()


def test_images_are_read_ahead_in_bounded_number_and_searched_in_order(tmp_path: Path) -> None:
    samples = [picture(tmp_path, f"{number}.png", left=number) for number in range(40)]
    ensemble = Ensemble([view(white_square(by_side), 80, np.arange(4))], LabelRule())
    read, most = [0], [0]
    lock, searched = threading.Lock(), [0]

    class Counted(Sample):
        def read_pixels(self) -> np.ndarray:
            with lock:
                read[0] += 1
                most[0] = max(most[0], read[0] - searched[0])
            return super().read_pixels()

    samples = [Counted(**{f.name: getattr(own, f.name) for f in fields(own)}) for own in samples]
    config = settings_of(tmp_path / "no.yaml", batch=4, threads=2)
    journal = DetectionJournal(None, {}, resume=False)

    def advance(done: int, total: int | None, stage: str) -> None:
        assert total == 40
        searched[0] = done

    stream = partial(ensemble.stream, threads=config.threads)
    search_samples(stream, samples, config, journal, advance)
    assert [own.boxes_xyxy[0, 0] for own in journal.detections] == list(range(40))
    assert searched == [40]
    assert most[0] <= 4 + 2 * 2 + 3 + 4  # a batch, the readers' queues, and the batch in the network


def settings_of(dataset: Path, *, batch: int, threads: int = 4) -> PseudolabelSettings:
    data = DatasetSettings(dataset=dataset)
    return PseudolabelSettings(data=data, runtime=RuntimeSettings(batch=batch), threads=threads)


def searched(
    samples: list[Sample], path: Path, *, resume: bool, batch: int = 2
) -> tuple[list[list[int]], list[tuple[int, int | None]], DetectionJournal]:
    """Search with a journal; return the batches by where their squares are, the progress, the journal."""
    batches: list[list[int]] = []
    find = white_square(by_side)

    def predict(images: np.ndarray, floor: float) -> list[Candidates]:
        found = find(images, floor)
        batches.append([round(float(one.boxes_xyxy[0, 0])) for one in found])
        return found

    ensemble = Ensemble([view(predict, 80, np.arange(4))], LabelRule())
    progress: list[tuple[int, int | None]] = []

    def advance(done: int, total: int | None, _: str) -> None:
        progress.append((done, total))

    with closing(DetectionJournal(path, {"batch": batch, "images": len(samples)}, resume=resume)) as journal:
        config = settings_of(path, batch=batch)
        search_samples(partial(ensemble.stream, threads=config.threads), samples, config, journal, advance)
    return batches, progress, journal


def test_an_image_that_cannot_be_read_is_left_out_of_its_batch(tmp_path: Path) -> None:
    samples = [picture(tmp_path, f"{number}.png", left=number) for number in range(5)]
    samples[0].image_path.unlink()
    samples[3].image_path.write_bytes(b"no image")
    batches, progress, journal = searched(samples, tmp_path / "found.jsonl", resume=False)
    assert batches == [[1], [2], [4]]
    assert progress == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert [len(found.scores) for found in journal.detections] == [0, 1, 1, 0, 1]
    assert {row: error.code for row, error in journal.failures.items()} == {
        0: ErrorCode.NOT_FOUND,
        3: ErrorCode.DECODE_FAILED,
    }
    assert all(str(tmp_path) not in error.message for error in journal.failures.values())


def test_a_repaired_image_is_looked_at_again_with_its_whole_batch(tmp_path: Path) -> None:
    samples = [picture(tmp_path, f"{number}.png", left=number) for number in range(7)]
    searched(samples, tmp_path / "whole.jsonl", resume=False)
    samples[3].image_path.unlink()
    samples[6].image_path.unlink()
    searched(samples, tmp_path / "found.jsonl", resume=False)
    picture(tmp_path, "3.png", left=3)
    batches, progress, journal = searched(samples, tmp_path / "found.jsonl", resume=True)
    assert batches == [[2, 3]]
    assert progress == [(4, 7), (6, 7), (7, 7)]
    assert list(journal.failures) == [6]
    picture(tmp_path, "6.png", left=6)
    assert searched(samples, tmp_path / "found.jsonl", resume=True)[0] == [[6]]
    assert (tmp_path / "found.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert searched(samples, tmp_path / "found.jsonl", resume=True)[0] == []


def test_after_a_kill_the_rest_comes_first_and_then_what_had_failed(tmp_path: Path) -> None:
    samples = [picture(tmp_path, f"{number}.png", left=number) for number in range(5)]
    searched(samples, tmp_path / "whole.jsonl", resume=False)
    samples[1].image_path.unlink()
    searched(samples, tmp_path / "found.jsonl", resume=False)
    lines = (tmp_path / "found.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "found.jsonl").unlink()
    # The header, the batch with the failure, and half of the next one.
    (tmp_path / ".found.jsonl.partial").write_bytes(b"".join(lines[:4]) + lines[4][:9])
    picture(tmp_path, "1.png", left=1)
    batches, progress, _ = searched(samples, tmp_path / "found.jsonl", resume=True)
    assert batches == [[2, 3], [4], [0, 1]]
    assert progress == [(0, 5), (2, 5), (3, 5), (5, 5)]
    assert (tmp_path / "found.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@given(
    count=st.integers(1, 9),
    batch=st.integers(1, 4),
    rounds=st.lists(st.sets(st.integers(0, 8)), min_size=1, max_size=3),
)
def test_whatever_failed_and_was_repaired_the_file_is_that_of_an_undisturbed_run(
    tmp_path_factory: pytest.TempPathFactory, count: int, batch: int, rounds: list[set[int]]
) -> None:
    folder = tmp_path_factory.mktemp("repair")
    samples = [picture(folder, f"{number}.png", left=number) for number in range(count)]
    searched(samples, folder / "whole.jsonl", resume=False, batch=batch)
    for broken in [*rounds, set()]:
        for number, sample in enumerate(samples):
            sample.image_path.unlink(missing_ok=True)
            if number not in broken:
                picture(folder, f"{number}.png", left=number)
        searched(samples, folder / "found.jsonl", resume=True, batch=batch)
    assert (folder / "found.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()


def test_a_journal_that_was_let_go_is_gone_on_with_in_the_same_process(tmp_path: Path) -> None:
    identity = {"batch": 1, "images": 2}
    path = tmp_path / "found.jsonl"
    first = DetectionJournal(path, identity, resume=False)
    none = np.zeros((0, 4))
    first.add(Detections(none, none[:, 0], none[:, 0].astype(np.int64)))
    first.close()
    second = DetectionJournal(path, identity, resume=True)
    assert len(second.detections) == 1
    second.close()
