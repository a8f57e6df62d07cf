"""Ground truth and detections of many images as flat arrays, the input of every metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.boxes import FloatArray, IntArray, box_areas
from medrov_cli.core.records.detections import Detections

BoolArray = npt.NDArray[np.bool_]


def _no_boxes() -> FloatArray:
    return np.zeros((0, 4))


def _no_labels() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """Ground truth and detections of one image.

    Attributes
    ----------
    truth_xyxy, truth_labels
        float, (n, 4), and int64, (n,).
    detections
        Detections, in the same pixels; their labels are of the same classes.
    truth_areas
        float, (n,), square pixels, for the size classes; null: the areas of the boxes.
    crowd_xyxy, crowd_labels
        Regions of many objects, (k, 4) and (k,); detections in them count neither as correct nor as wrong.
    """

    truth_xyxy: FloatArray
    truth_labels: IntArray
    detections: Detections
    truth_areas: FloatArray | None = None
    crowd_xyxy: FloatArray = field(default_factory=_no_boxes)
    crowd_labels: IntArray = field(default_factory=_no_labels)


@dataclass(frozen=True, slots=True, eq=False)
class DetectionTable:
    """All ground-truth objects (n) and detections (m) of a set of images.

    Attributes
    ----------
    images
        Number of images.
    truth_image, truth_label, truth_xyxy, truth_area, is_crowd
        int64, (n,); int64, (n,); float64, (n, 4); float64, (n,); bool, (n,).
    image, label, xyxy, score
        int64, (m,); int64, (m,); float64, (m, 4); float64, (m,).
    """

    images: int
    truth_image: IntArray
    truth_label: IntArray
    truth_xyxy: FloatArray
    truth_area: FloatArray
    is_crowd: BoolArray
    image: IntArray
    label: IntArray
    xyxy: FloatArray
    score: FloatArray

    @classmethod
    def from_images(cls, results: Sequence[ImageResult]) -> DetectionTable:
        """Return the table of a sequence of images; image ids are their positions."""
        truths = [len(r.truth_labels) for r in results]
        crowds = [len(r.crowd_labels) for r in results]
        rows = np.arange(len(results))
        areas = [box_areas(r.truth_xyxy) if r.truth_areas is None else r.truth_areas for r in results]
        crowd_xyxy = _joined([r.crowd_xyxy for r in results], 4)
        truth_image = np.concatenate([np.repeat(rows, truths), np.repeat(rows, crowds)])
        order = np.argsort(truth_image, kind="stable")
        labels = [r.truth_labels for r in results] + [r.crowd_labels for r in results]
        return cls(
            images=len(results),
            truth_image=truth_image[order],
            truth_label=_joined(labels).astype(np.int64)[order],
            truth_xyxy=np.concatenate([_joined([r.truth_xyxy for r in results], 4), crowd_xyxy])[order],
            truth_area=np.concatenate([_joined(areas), box_areas(crowd_xyxy)])[order],
            is_crowd=np.repeat([False, True], [sum(truths), sum(crowds)])[order],
            image=np.repeat(rows, [len(r.detections) for r in results]),
            label=_joined([r.detections.labels for r in results]).astype(np.int64),
            xyxy=_joined([r.detections.boxes_xyxy for r in results], 4),
            score=_joined([r.detections.scores for r in results]),
        )

    def with_labels(self, truth_label: IntArray, label: IntArray) -> DetectionTable:
        """Return the table with other labels; zeros make all objects one class."""
        return replace(self, truth_label=truth_label, label=label)

    def keep(self, rows: BoolArray | IntArray) -> DetectionTable:
        """Return the table with a subset of its detections."""
        return replace(
            self, image=self.image[rows], label=self.label[rows], xyxy=self.xyxy[rows], score=self.score[rows]
        )


def _joined(parts: Sequence[FloatArray | IntArray], width: int | None = None) -> FloatArray:
    empty = np.zeros((0,) if width is None else (0, width))
    return np.concatenate([empty, *parts]).astype(np.float64)
