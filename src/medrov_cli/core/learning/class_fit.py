"""Fit of one class: start, number of vectors, steps and box map are chosen on held-out examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.engines.anchors import decode_learned
from medrov_cli.core.learning.box_fit import fit_box_map
from medrov_cli.core.learning.class_warnings import warnings_of
from medrov_cli.core.learning.starts import as_arrays, starts_of
from medrov_cli.core.learning.vector_fit import fit_vectors, rows_of_class
from medrov_cli.core.learning.views import ExampleView, ViewSet
from medrov_cli.core.metrics.average_precision import CocoScorer
from medrov_cli.core.metrics.calibration import MIN_DETECTIONS, MIN_TRUTHS, fit_class
from medrov_cli.core.metrics.detection_table import DetectionTable, ImageResult
from medrov_cli.core.metrics.expected_f1 import threshold_of
from medrov_cli.core.metrics.matching import IGNORED
from medrov_cli.core.metrics.operating import ClassScores
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace, Vector
from medrov_cli.core.records.box_maps import MAPPED_IOU, BoxMap
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.regions import RegionColumns, Regions, levels_of
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.records.suppression import nms, select
from medrov_cli.core.settings.groups import COCO_SELECTION, DEFAULT_CONF
from medrov_cli.core.weights.learned_file import LearnedClass, Validation

STEPS = (20, 60)
"""Numbers of steps of a fit, of which the better one is chosen; never fewer than the first."""

MANY_BOXES = 20
"""Number of examples above which a class may have several vectors."""

SEVERAL = 3
"""Number of vectors of such a class."""

MANY_CLASSES = 30
"""Number of classes above which start, steps and number of vectors are not chosen class by class."""

FIXED = ("both", 1, STEPS[-1])
"""Start, number of vectors and steps where they are not chosen."""

Choice = tuple[str, int, int]
"""Start, number of vectors, steps."""

Fold = tuple[set[int], ViewSet]
"""Images that are held out, and the views of all images by a network that has not seen them."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassTask:
    """One class with all views.

    Attributes
    ----------
    name, label
        Name and row of the class.
    text
        Vector of its text.
    views
        Views of all images.
    groups
        Number of the group of each image: a group is held out as a whole.
    space
        Space of the class embeddings.
    imgsz
        Side of the square model input, in pixels.
    folds
        Largest number of parts of the groups; 0: no validation.
    chooses
        Whether start, steps and number of vectors are chosen.
    adapted
        Folds of a network with an adapter, which has a network for each fold; empty: each fold has the views
        above, and the class has folds of its own.
    """

    name: str
    label: int
    text: Vector
    views: ViewSet
    groups: Sequence[int]
    space: EmbeddingSpace
    imgsz: int
    folds: int
    chooses: bool
    adapted: tuple[Fold, ...] = ()

    def fit(self) -> tuple[list[Vector], LearnedClass]:
        """Return the vectors of the class and its record."""
        shown = [view for view in self.views.plain if view.is_annotated[self.label]]
        boxes = [int((view.labels == self.label).sum()) for view in shown]
        choices = self._choices(sum(boxes))
        folds = self._folds(shown, boxes)
        choice, calibration = choices[0], _uncalibrated(self.name)
        validation: Validation | None = None
        images = {view.image for view in shown}
        if folds:
            choice, is_mapped, validation, calibration = self._validate(choices, folds)
            if is_mapped:
                box_map = fit_box_map(self.views.of_images(images), self.label, self.imgsz)
                calibration = replace(calibration, box_map=box_map)
        vectors = self._fitted(self.views, images, [choice])[choice]
        record = LearnedClass(
            self.name,
            images=sum(count > 0 for count in boxes),
            boxes=sum(boxes),
            negatives=sum(count == 0 for count in boxes),
            vectors=len(vectors),
            start=choice[0],
            calibration=calibration,
            validation=validation,
        )
        examples = [view.truth_xyxy[view.labels == self.label] for view in shown]
        warnings = warnings_of(record, np.concatenate(examples), self.imgsz, validates=self.folds > 0)
        return vectors, replace(record, warnings=warnings)

    def _choices(self, boxes: int) -> list[Choice]:
        if not self.chooses:
            return [FIXED]
        counts = (1, SEVERAL) if boxes > MANY_BOXES else (1,)
        starts = ("both", "text", "examples")
        return [(start, count, steps) for count in counts for start in starts for steps in reversed(STEPS)]

    def _folds(self, shown: Sequence[ExampleView], boxes: Sequence[int]) -> list[Fold]:
        """Return the folds of the class; empty if examples are in one fold, or without validation."""
        if not self.adapted:
            return [(part, self.views) for part in _parts(shown, boxes, self.groups, self.folds)]
        images = {view.image for view in shown}
        with_boxes = {view.image for view, count in zip(shown, boxes, strict=True) if count}
        folds = [(held_out & images, views) for held_out, views in self.adapted]
        # an example in two folds, so that no fold has all of them
        return folds if sum(bool(held_out & with_boxes) for held_out, _ in folds) > 1 else []

    def _fitted(
        self, views: ViewSet, images: set[int], choices: Sequence[Choice]
    ) -> dict[Choice, list[Vector]]:
        """Return the vectors of each choice, fitted to the views of some images."""
        rows = rows_of_class(views.of_images(images), self.label, self.imgsz)
        starts = starts_of(self.space, self.text, rows)
        return {
            (start, count, steps): fit_vectors(rows, starts[start], steps, count)
            for start, count, steps in choices
        }

    def _validate(
        self, choices: Sequence[Choice], folds: Sequence[Fold]
    ) -> tuple[Choice, bool, Validation, ClassCalibration]:
        """Return the choice with the best AP50 on held-out images, and its figures and calibration.

        Between them: whether box maps raise the AP50.
        """
        found: dict[Choice, list[ImageResult]] = {choice: [] for choice in choices}
        by_text: list[ImageResult] = []
        maps: list[BoxMap | None] = []
        images = set().union(*(held_out for held_out, _ in folds))
        for held_out, views in folds:
            fitted = self._fitted(views, images - held_out, choices)
            box_map = fit_box_map(views.of_images(images - held_out), self.label, self.imgsz)
            for view in (own for own in views.plain if own.image in held_out):
                maps.append(box_map)
                by_text.append(self.detect(view, [self.text]))
                for choice, vectors in fitted.items():
                    found[choice].append(self.detect(view, vectors))
        scores = {choice: score_images(results) for choice, results in found.items()}
        choice = max(choices, key=lambda own: round(scores[own][0], 6))  # the first of equal ones
        ap50, own = scores[choice]
        pairs = zip(found[choice], maps, strict=True)
        mapped_ap50, mapped = score_images([with_box_map(*pair, self.imgsz) for pair in pairs])
        is_mapped = mapped_ap50 > ap50
        if is_mapped:
            ap50, own = mapped_ap50, mapped
        calibration = _calibrate(self.name, own)
        text_ap50, _ = score_images(by_text)
        return choice, is_mapped, Validation(len(folds), ap50, calibration.f1, text_ap50), calibration

    def detect(self, view: ExampleView, vectors: Sequence[Vector]) -> ImageResult:
        """Return truth and detections of the class in a view, in model pixels."""
        kernels, constants = as_arrays(vectors)
        columns = RegionColumns(
            kernels, constants, np.zeros(len(vectors), dtype=np.int64), floor=COCO_SELECTION.conf or 0.0
        )
        regions = Regions(view.boxes_xyxy, view.vectors.astype(np.float32), levels_of(self.imgsz))
        candidates = decode_learned(regions, columns, None)
        boxes, scores, labels = select(
            candidates.boxes_xyxy,
            candidates.scores,
            conf=columns.floor,
            iou=COCO_SELECTION.iou,
            max_det=COCO_SELECTION.max_det,
        )
        truth = view.truth_xyxy[view.labels == self.label].astype(np.float64)
        return ImageResult(
            truth,
            np.zeros(len(truth), dtype=np.int64),
            Detections(boxes, scores, labels),
            crowd_xyxy=view.ignored_xyxy,
            crowd_labels=np.zeros(len(view.ignored_xyxy), dtype=np.int64),
        )


def with_box_map(result: ImageResult, box_map: BoxMap | None, side: int) -> ImageResult:
    """Return a result in model pixels with mapped boxes; ``side`` is that of the model input."""
    if box_map is None:
        return result
    found = result.detections
    found = replace(found, boxes_xyxy=box_map.apply(found.boxes_xyxy, side))
    kept = nms(found.boxes_xyxy, found.scores, found.labels, MAPPED_IOU, len(found))
    return replace(result, detections=found.subset(kept))


def _parts(
    shown: Sequence[ExampleView], boxes: Sequence[int], groups: Sequence[int], folds: int
) -> list[set[int]]:
    """Return the images that are held out in turn; empty if examples are in one group, or without folds.

    Groups with examples are dealt out in turn, then those without.
    """
    with_boxes = list(
        dict.fromkeys(groups[view.image] for view, count in zip(shown, boxes, strict=True) if count)
    )
    count = min(folds, len(with_boxes))
    if count < 2:
        return []
    others = list(dict.fromkeys(groups[view.image] for view in shown))
    order = [*with_boxes, *(group for group in others if group not in with_boxes)]
    part_of = {group: number % count for number, group in enumerate(order)}
    return [
        {view.image for view in shown if part_of[groups[view.image]] == number} for number in range(count)
    ]


def score_images(results: Sequence[ImageResult]) -> tuple[float, ClassScores]:
    """Return AP50 and the scored detections of images with one class."""
    table = DetectionTable.from_images(results)
    scorer = CocoScorer(table)
    status = scorer.matches.status[0, 0]
    counted = status != IGNORED
    rows = scorer.matches.rows[counted]
    truths = int((~table.is_crowd).sum())
    own = ClassScores(table.score[rows], status[counted] > 0, truths, np.zeros(len(rows), dtype=bool))
    found = scorer.of_class(0, np.ones(len(results), dtype=bool))
    return (0.0 if found is None else float(found.ap50)), own


def _calibrate(name: str, own: ClassScores) -> ClassCalibration:
    """Return threshold and map; the map is the identity with too few detections or examples."""
    fitted = fit_class(name, own, "platt", threshold_of(own))
    if own.truths >= MIN_TRUTHS and len(own.scores) >= MIN_DETECTIONS:
        return fitted
    return replace(_uncalibrated(name), threshold=fitted.threshold, f1=fitted.f1)


def _uncalibrated(name: str) -> ClassCalibration:
    return ClassCalibration(name, DEFAULT_CONF, 0.0, (0.0, 1.0), (0.0, 1.0))
