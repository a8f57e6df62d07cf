"""Whole images through one or several views: source pixels, mirror images, sizes, calibration."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.boxes import flip_boxes
from medrov_cli.core.data.laterality import mirror_rows
from medrov_cli.core.data.source import Sample
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.evaluation.detection import Found
from medrov_cli.core.evaluation.run import DetectionJournal
from medrov_cli.core.inference.scoring import Scoring
from medrov_cli.core.pseudolabeling.offline_config import OfflineConfig, OfflineRule
from medrov_cli.core.pseudolabeling.offline_search import Searcher, View, search_samples
from weights_fixtures import made_up_calibration

CLASSES = ("left lung", "right lung", "heart", "left kidney")
RAW = Scoring(np.full(4, 0.5))


def white_square(
    score_of: Callable[[float], tuple[int, float]],
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a detector of the bright part: its class and score depend on where its centre is, 0 to 1."""

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes = np.zeros((len(images), 1, 4), np.float32)
        scores = np.zeros((len(images), 1, len(CLASSES)), np.float32)
        for row, image in enumerate(images):
            ys, xs = np.nonzero(image[..., 0] > 200)
            boxes[row, 0] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
            label, score = score_of((xs.min() + xs.max() + 1) / 2 / image.shape[1])
            scores[row, 0, label] = score
        return boxes, scores

    return predict


def picture(folder: Path, name: str = "1.png", left: int = 10) -> Sample:
    """Return an image of 80 x 40 pixels with a white square of 10 from (``left``, 5)."""
    image = np.zeros((40, 80, 3), np.uint8)
    image[5:15, left : left + 10] = 255
    cv2.imwrite(str(folder / name), image)
    none, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    return Sample(0, 1, folder / name, 40, 80, none, labels, None, labels.astype(np.float32), none, labels)


def look(
    sample: Sample, views: list[View], rule: OfflineRule | None = None
) -> list[tuple[list[float], str, float]]:
    searcher = Searcher(views, rule or OfflineRule(score=0.5))
    (found,) = searcher.look([searcher.prepare(sample)])
    rows = zip(found.boxes_xyxy.tolist(), found.labels, found.scores, strict=True)
    return [(box, CLASSES[label], round(float(score), 4)) for box, label, score in rows]


def by_side(x: float) -> tuple[int, float]:
    """Say what a radiologist would: what is on the left of the picture is the patient's right."""
    return (1, 0.9) if x < 0.5 else (0, 0.8)


@pytest.mark.parametrize("side", [80, 160, 320])
def test_boxes_are_in_pixels_of_the_stored_image(tmp_path: Path, side: int) -> None:
    view = View(white_square(by_side), side, RAW, np.arange(4))
    ((box, label, score),) = look(picture(tmp_path), [view])
    assert box == pytest.approx([10, 5, 20, 15], abs=80 / side)
    assert (label, score) == ("right lung", 0.9)


def test_a_mirror_image_exchanges_left_and_right(tmp_path: Path) -> None:
    mirror = mirror_rows(CLASSES)
    sample = picture(tmp_path)
    flipped = View(white_square(by_side), 80, RAW, mirror, flip=True)
    ((box, label, score),) = look(sample, [flipped])
    # In the mirror image the square is on the right, which is called the left lung, with 0.8.
    assert box == [10, 5, 20, 15]
    assert (label, score) == ("right lung", 0.8)
    both = [View(white_square(by_side), 80, RAW, np.arange(4)), flipped]
    assert look(sample, both) == [([10.0, 5.0, 20.0, 15.0], "right lung", 0.9)]


def test_a_detector_that_calls_both_sides_the_same_does_not_agree_with_itself(tmp_path: Path) -> None:
    confused = white_square(lambda _: (0, 0.9))
    views = [
        View(confused, 160, RAW, np.arange(4)),
        View(confused, 160, RAW, mirror_rows(CLASSES), flip=True),
    ]
    assert look(picture(tmp_path), views) == []
    assert len(look(picture(tmp_path), views, OfflineRule(score=0.5, agree=1))) == 1


def test_a_class_whose_mirror_image_is_no_class_is_taken_from_the_straight_view(tmp_path: Path) -> None:
    kidney = white_square(lambda _: (3, 0.9))
    views = [View(kidney, 160, RAW, np.arange(4)), View(kidney, 160, RAW, mirror_rows(CLASSES), flip=True)]
    assert [label for _, label, _ in look(picture(tmp_path), views)] == ["left kidney"]
    assert look(picture(tmp_path), views[1:]) == []


def test_views_of_other_sizes_and_detectors_must_agree(tmp_path: Path) -> None:
    views = [View(white_square(by_side), side, RAW, np.arange(4)) for side in (80, 160, 320)]
    blind = View(white_square(lambda _: (1, 0.1)), 160, RAW, np.arange(4))
    assert len(look(picture(tmp_path), views)) == 1
    assert look(picture(tmp_path), [*views, blind]) == []
    assert len(look(picture(tmp_path), [*views, blind], OfflineRule(agree=3))) == 1


def test_calibrated_scores_have_a_raw_threshold_for_each_class(tmp_path: Path) -> None:
    own = made_up_calibration()
    names = [("lung nodule",), ("red blood cell",), ("other",), ("more",)]
    maps = tuple(own.for_name(group) for group in names)
    scoring = Scoring(np.array([one.raw_threshold(0.75) for one in maps]), maps)
    # Nodules' scores are halved: never 0.75. Cells: raw 0.2 to 0.6 is 0 to 1, so 0.75 is 0.5.
    assert scoring.thresholds[0] > 1
    assert scoring.thresholds[1] == pytest.approx(0.5)
    for label, raw, expected in ((0, 1.0, []), (1, 0.49, []), (1, 0.54, [0.85]), (1, 0.9, [1.0])):
        view = View(white_square(lambda _, at=(label, raw): at), 160, scoring, np.arange(4))
        assert [score for *_, score in look(picture(tmp_path), [view])] == pytest.approx(expected)


def test_mirrored_twice_is_where_it_was() -> None:
    boxes = np.array([[1, 2, 5, 9], [0, 0, 10, 10]], dtype=np.float32)
    assert flip_boxes(boxes, 10).tolist() == [[5, 2, 9, 9], [0, 0, 10, 10]]
    assert flip_boxes(flip_boxes(boxes, 10), 10).tolist() == boxes.tolist()


def test_images_are_read_ahead_in_bounded_number_and_searched_in_order(tmp_path: Path) -> None:
    samples = [picture(tmp_path, f"{number}.png", left=number) for number in range(40)]
    searcher = Searcher([View(white_square(by_side), 80, RAW, np.arange(4))], OfflineRule())
    read, most = [0], [0]
    lock, prepare, searched = threading.Lock(), searcher.prepare, [0]

    def counted(sample: Sample) -> object:
        with lock:
            read[0] += 1
            most[0] = max(most[0], read[0] - searched[0])
        return prepare(sample)

    searcher.prepare = counted  # type: ignore[method-assign]
    config = OfflineConfig(tmp_path / "no.yaml", batch=4, threads=2)
    journal = DetectionJournal(None, {}, resume=False)

    def advance(done: int, total: int) -> None:
        assert total == 40
        searched[0] = done

    found = search_samples(searcher, samples, config, journal, advance)
    assert [own.boxes_xyxy[0, 0] for own in found] == list(range(40))
    assert searched == [40]
    assert most[0] <= 4 + 2 * 2 + 3 + 4  # a batch, the readers' queues, and the batch in the network


def test_an_image_that_cannot_be_read_ends_the_run_and_keeps_what_was_before(tmp_path: Path) -> None:
    samples = [picture(tmp_path, f"{number}.png") for number in range(3)]
    samples[2].image_path.unlink()
    searcher = Searcher([View(white_square(by_side), 80, RAW, np.arange(4))], OfflineRule())
    journal = DetectionJournal(None, {}, resume=False)
    with pytest.raises(MedrovError, match=r"2\.png") as failure:
        search_samples(searcher, samples, OfflineConfig(tmp_path, batch=2), journal, lambda *_: None)
    assert failure.value.code is ErrorCode.DATASET_INVALID
    assert len(journal.found) == 2


def test_a_journal_that_was_let_go_is_gone_on_with_in_the_same_process(tmp_path: Path) -> None:
    identity = {"batch": 1, "images": 2}
    path = tmp_path / "found.jsonl"
    first = DetectionJournal(path, identity, resume=False)
    none = np.zeros((0, 4))
    first.add(Found(none, none[:, 0], none[:, 0].astype(np.int64)))
    first.close()
    second = DetectionJournal(path, identity, resume=True)
    assert len(second.found) == 1
    second.close()
