"""COCO average precision and recall over any part of the images and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from medrov_cli.core.metrics.detection_table import BoolArray, DetectionTable, ImageResult
from medrov_cli.core.metrics.matching import FOUND, MAX_DETECTIONS, WRONG, Matches, match
from medrov_cli.core.records.boxes import FloatArray, IntArray

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which COCO samples the precision."""


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """COCO's figures of one class, or their mean; null without objects.

    Attributes
    ----------
    ap50, ap
        AP at IoU 0.5, and its mean over 0.5 to 0.95.
    ap75
        AP at IoU 0.75.
    ap_small, ap_medium, ap_large
        AP of objects below 32², up to 96², and above, in square pixels.
    ar_1, ar_10, ar_max
        Mean over the thresholds of the recall with 1, 10 and all detections per image and class.
    """

    ap50: float
    ap: float
    ap75: float | None = None
    ap_small: float | None = None
    ap_medium: float | None = None
    ap_large: float | None = None
    ar_1: float | None = None
    ar_10: float | None = None
    ar_max: float | None = None


class CocoScorer:
    """Scorer of any subset of images and classes, from one matching.

    Parameters
    ----------
    table
        Truth and detections.
    max_det
        Maximum number of detections per image and class.
    """

    def __init__(self, table: DetectionTable, max_det: int = MAX_DETECTIONS) -> None:
        self.table = table
        self.matches: Matches = match(table, max_det=max_det)
        rows = self.matches.rows
        self._image, self._label = table.image[rows], table.label[rows]
        self.score = table.score[rows]
        self._by_label = _rows_by_label(self._label, self.score)

    def of_class(self, label: int, images: BoolArray) -> AveragePrecision | None:
        """Return the figures of one class on a subset of images; null if they contain no object of it.

        Parameters
        ----------
        label
            The class.
        images
            bool, (images,).
        """
        return self._figures(self.rows_of(label, images), self._counts([label], images))

    def pooled(self, scored: BoolArray) -> AveragePrecision | None:
        """Return the figures of all classes ranked together (micro average).

        Parameters
        ----------
        scored
            bool, (images, classes): the classes that are scored on each image.
        """
        chosen = np.flatnonzero(scored[self._image, self._label])
        chosen = chosen[np.argsort(-self.score[chosen], kind="stable")]
        truths = scored[self.table.truth_image, self.table.truth_label]
        return self._figures(chosen, (~self.matches.is_ignored & truths).sum(1))

    def precision_at_recalls(self, label: int, images: BoolArray) -> FloatArray | None:
        """Return the precision at IoU 0.5 at :data:`RECALLS`, (101,); null without objects."""
        objects = int(self._counts([label], images)[0])
        if not objects:
            return None
        return _precision_at_recalls(self.matches.status[0, 0, self.rows_of(label, images)], objects)

    def rows_of(self, label: int, images: BoolArray) -> IntArray:
        """Return the positions in ``matches`` of a class's detections on some images, best score first."""
        rows = self._by_label.get(label)
        return np.zeros(0, dtype=np.int64) if rows is None else rows[images[self._image[rows]]]

    def _counts(self, labels: Sequence[int], images: BoolArray) -> IntArray:
        """Return the number of objects that are scored, by area."""
        here = np.isin(self.table.truth_label, labels) & images[self.table.truth_image]
        return np.asarray((~self.matches.is_ignored & here).sum(1))

    def _figures(self, rows: IntArray, objects: IntArray) -> AveragePrecision | None:
        if not objects[0]:
            return None
        status = self.matches.status[:, :, rows]
        rank = self.matches.rank[rows]
        by_area = [
            None if not count else [float(_precision_at_recalls(row, count).mean()) for row in part]
            for part, count in zip(status, objects.tolist(), strict=True)
        ]
        small, medium, large = (None if part is None else float(np.mean(part)) for part in by_area[1:])
        every = by_area[0] or []
        found = status[0] == FOUND
        recall = [float(found[:, rank < limit].sum(1).mean() / objects[0]) for limit in (1, 10)]
        return AveragePrecision(
            ap50=every[0],
            ap=float(np.mean(every)),
            ap75=every[5],
            ap_small=small,
            ap_medium=medium,
            ap_large=large,
            ar_1=recall[0],
            ar_10=recall[1],
            ar_max=float(found.sum(1).mean() / objects[0]),
        )


def average_precision(images: Sequence[ImageResult], labels: Sequence[int]) -> Mapping[int, AveragePrecision]:
    """Return the AP of each of ``labels`` that has a ground-truth box in ``images``.

    Detections of other classes are left out: classes without annotation count neither as correct nor as
    wrong.
    """
    scorer = CocoScorer(DetectionTable.from_images(images))
    everywhere = np.ones(len(images), dtype=bool)
    scores = {int(label): scorer.of_class(int(label), everywhere) for label in labels}
    return {label: score for label, score in scores.items() if score is not None}


def mean_of(scores: Sequence[AveragePrecision | None]) -> AveragePrecision | None:
    """Return the mean of each figure over the scores that are not null; null without any."""
    known = [score for score in scores if score is not None]
    if not known:
        return None
    means: dict[str, float] = {}
    for field in fields(AveragePrecision):
        values = [value for score in known if (value := getattr(score, field.name)) is not None]
        if values:
            means[field.name] = float(np.mean(values))
    return AveragePrecision(**means)


def _precision_at_recalls(status: npt.NDArray[np.int8], objects: int) -> FloatArray:
    """Return the interpolated precision at :data:`RECALLS`, (101,).

    Precision decreases between two correct detections, so that only these have to be evaluated.
    """
    found = np.flatnonzero(status == FOUND)
    right = np.arange(1, len(found) + 1, dtype=np.float64)
    wrong = np.cumsum(status == WRONG)[found]
    precision = right / (wrong + right + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / objects, RECALLS, "left")
    return np.append(precision, 0.0)[at]


def _rows_by_label(label: IntArray, score: FloatArray) -> dict[int, IntArray]:
    """Return the rows of each class by descending score; equal scores in the order of the images."""
    if not len(label):
        return {}
    order = np.lexsort((-score, label))
    labels, starts = np.unique(label[order], return_index=True)
    return dict(zip(labels.tolist(), np.split(order, starts[1:]), strict=True))
