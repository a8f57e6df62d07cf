"""Run a detector over the images of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.boxes import FloatArray, IntArray, clip_boxes, select
from medrov_cli.core.data.letterbox import Letterbox
from medrov_cli.core.data.source import Sample
from medrov_cli.core.data.store import load_image
from medrov_cli.core.metrics.detections import ImageResult
from medrov_cli.core.records import Candidates, UInt8Array

Predictor = Callable[[UInt8Array, float], list[Candidates]]
"""See :meth:`medrov_cli.core.runtime.interface.Engine.infer`."""


@dataclass(frozen=True, slots=True)
class SelectionConfig:
    """How detections are chosen for scoring.

    Attributes
    ----------
    conf
        COCO practice: nearly every candidate takes part in the precision-recall curve.
    iou
        Threshold of the suppression within a class.
    max_det
        Detections an image, over all classes.
    batch
        Images a forward pass.
    """

    conf: float = 0.001
    iou: float = 0.6
    max_det: int = 300
    batch: int = 16


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The detections of one image, best score first, in pixels of the stored image.

    Attributes
    ----------
    boxes_xyxy, scores, labels
        float, (n, 4); float, (n,); int64, (n,), rows of the dataset's classes.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    labels: IntArray


def detect_batch(
    predict: Predictor, samples: Sequence[Sample], imgsz: int, config: SelectionConfig
) -> list[Found]:
    """Return the detections of some images, which go through the network together."""
    letterboxes = [Letterbox.fit((sample.height, sample.width), imgsz) for sample in samples]
    images = [box.apply(load_image(sample)) for box, sample in zip(letterboxes, samples, strict=True)]
    candidates = predict(np.stack(images), config.conf)
    results = []
    for row, (sample, letterbox) in enumerate(zip(samples, letterboxes, strict=True)):
        found, score, label = select(
            candidates[row].boxes_xyxy,
            candidates[row].scores,
            conf=config.conf,
            iou=config.iou,
            max_det=config.max_det,
        )
        results.append(
            Found(clip_boxes(letterbox.to_source(found), sample.height, sample.width), score, label)
        )
    return results


def with_truth(sample: Sample, found: Found) -> ImageResult:
    """Return truth and detections of one image."""
    return ImageResult(
        truth_xyxy=sample.boxes_xyxy,
        truth_labels=sample.labels,
        boxes_xyxy=found.boxes_xyxy,
        scores=found.scores,
        labels=found.labels,
        truth_areas=sample.areas,
        crowd_xyxy=sample.crowd_xyxy,
        crowd_labels=sample.crowd_labels,
    )
