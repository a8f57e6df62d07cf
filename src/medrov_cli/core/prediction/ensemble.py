"""Look at whole images with one or several detectors, sizes and mirrorings, and let them agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from medrov_cli.core.base.errors import MedrovError, usage_error
from medrov_cli.core.base.ordered import OrderedReader
from medrov_cli.core.datasets.laterality import mirror_rows
from medrov_cli.core.datasets.sample_images import read_image
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.agreement import agreed, needed_votes, one_per_object
from medrov_cli.core.prediction.detection_journal import DetectionJournal, Looked
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.split_detection import Predictor
from medrov_cli.core.prediction.weights_file import Detector, embed_names
from medrov_cli.core.records.boxes import IntArray, clip_boxes, flip_boxes
from medrov_cli.core.records.detections import Candidates, Found
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.label_rule import AGREE_IOU, LabelRule
from medrov_cli.core.settings.pseudolabel import PseudolabelSettings

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One way to look at an image.

    Attributes
    ----------
    predict
        The network, for one side of its input.
    side
        Of the square model input, in pixels.
    scoring
        From its scores to those that are judged.
    answers
        int64, (classes,): the class of the image that each of its answers means; -1: none.
    flip
        Whether it is shown the mirror image.
    """

    predict: Predictor
    side: int
    scoring: Scoring
    answers: IntArray
    flip: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """An image, letterboxed for each side that is looked at."""

    sample: Sample
    by_side: dict[int, tuple[Letterbox, UInt8Array]]


def open_views(
    detectors: Sequence[Detector],
    names: Sequence[Sequence[str]],
    classes: tuple[str, ...],
    config: PseudolabelSettings,
) -> list[View]:
    """Load the networks, for every way to look at an image.

    Parameters
    ----------
    detectors
        The weights.
    names
        Of each class: its name and synonyms.
    classes
        The dataset's classes: all are asked for, so that an annotated one can be the better answer.
    config
        All settings.

    Raises
    ------
    MedrovError
        ``USAGE``: weights without a calibration; the codes of weights and text encoders.
    """
    rule = config.rule
    straight, mirrored = np.arange(len(classes)), mirror_rows(classes)
    views = []
    for detector, given in zip(detectors, config.weights, strict=True):
        if rule.calibrated and detector.metadata.calibration is None:
            raise usage_error(
                f"--calibrated: the weights {given} carry no calibration",
                "'medrov eval --fit' writes weights with one; or leave --calibrated out.",
            )
        scoring = Scoring.of(names, detector.metadata, conf=rule.score, raw_scores=not rule.calibrated)
        embeddings = embed_names(names, detector.text_encoder, offline=config.runtime.offline)
        for side in rule.sides(detector.imgsz):
            engine = dataclasses.replace(detector, imgsz=side).open(embeddings, config.runtime)
            views.append(View(engine.infer, side, scoring, straight))
            if rule.flip:
                views.append(View(engine.infer, side, scoring, mirrored, flip=True))
    return views


class Searcher:
    """Find one proposal an object in whole images, whatever its class.

    Parameters
    ----------
    views
        The ways to look, at least one.
    rule
        Thresholds.
    """

    def __init__(self, views: Sequence[View], rule: LabelRule) -> None:
        self._views = views
        self._rule = rule
        able = [view.answers[view.answers >= 0] for view in views]
        self._needed = needed_votes(rule.agree, able, len(views[0].answers))

    def prepare(self, sample: Sample) -> Squares:
        """Read an image, and letterbox it.

        Raises
        ------
        MedrovError
            An input error: it cannot be read.
        """
        image = read_image(sample)
        boxes = {view.side: Letterbox.fit((sample.height, sample.width), view.side) for view in self._views}
        return Squares(sample, {side: (box, box.apply(image)) for side, box in boxes.items()})

    def look(self, images: Sequence[Squares]) -> list[Found]:
        """Return what is found in some images, which go through the networks together."""
        by_view = [self._look_once(view, images) for view in self._views]
        if len(by_view) == 1:
            return by_view[0]
        rule = self._rule
        return [agreed(own, self._needed, AGREE_IOU, rule.nms_iou) for own in zip(*by_view, strict=True)]

    def _look_once(self, view: View, images: Sequence[Squares]) -> list[Found]:
        squares = np.stack([image.by_side[view.side][1] for image in images])
        found = view.predict(squares[:, :, ::-1] if view.flip else squares, view.scoring.floor)
        return [self._proposals(view, image, one) for image, one in zip(images, found, strict=True)]

    def _proposals(self, view: View, image: Squares, found: Candidates) -> Found:
        """Return one view's proposals."""
        anchors, columns = np.nonzero(found.scores >= view.scoring.thresholds)
        shown = view.scoring.shown(found.scores[anchors, columns], columns)
        boxes, labels = found.boxes_xyxy[anchors], view.answers[columns]
        if view.flip:
            boxes = flip_boxes(boxes, view.side)
        boxes = image.by_side[view.side][0].to_source(boxes)
        boxes = clip_boxes(boxes, image.sample.height, image.sample.width)
        known = labels >= 0
        return one_per_object(boxes[known], shown[known], labels[known], self._rule.nms_iou)


def search_samples(
    searcher: Searcher,
    samples: Sequence[Sample],
    config: PseudolabelSettings,
    journal: DetectionJournal,
    advance: Callable[[int, int], None],
) -> None:
    """Look at every image; at those in the journal only if they could not be read then.

    Files are read ahead, some at once; memory does not grow with the number of images. One that cannot be
    read is left out of its batch. Batches are always of the same images, so that a file that was
    repaired gives what it would have given at first: its whole batch is looked at again.
    """
    batch = config.runtime.batch or len(samples)
    done = len(journal.found)
    stale = sorted({row // batch for row in journal.failures})
    again = [row for number in stale for row in range(number * batch, min((number + 1) * batch, done))]
    advance(done - len(again), len(samples))

    def look(rows: Sequence[int], before: int) -> Iterator[tuple[int, Looked]]:
        for number, looked in enumerate(_looked(searcher, [samples[row] for row in rows], config)):
            yield rows[number], looked
            if (number + 1) % batch == 0 or number + 1 == len(rows):
                advance(before + number + 1, len(samples))

    for _, looked in look(range(done, len(samples)), done - len(again)):
        journal.add(looked)
    journal.finish()
    if again:
        journal.replace(dict(look(again, len(samples) - len(again))))


def _looked(searcher: Searcher, samples: Sequence[Sample], config: PseudolabelSettings) -> Iterator[Looked]:
    """Yield what comes of some images, batch by batch, in their order."""

    def read(sample: Sample) -> Iterator[Squares]:
        yield searcher.prepare(sample)

    with OrderedReader(samples, read, config.threads) as reader:
        for items in _batches((item for _, item in reader), config.runtime.batch or len(samples)):
            squares = [item for item in items if not isinstance(item, MedrovError)]
            found = iter(searcher.look(squares) if squares else ())
            for item in items:
                yield item if isinstance(item, MedrovError) else next(found)


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
