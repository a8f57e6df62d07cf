"""Run a detector over a split, and score it source by source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.boxes import FloatArray, clip_boxes, select
from medrov_cli.core.data.dataset import Dataset, Sample, Split
from medrov_cli.core.data.letterbox import Letterbox
from medrov_cli.core.data.store import load_image
from medrov_cli.core.metrics.coco import AveragePrecision, ImageResult, average_precision
from medrov_cli.core.records import UInt8Array

Predictor = Callable[[UInt8Array], tuple[FloatArray, FloatArray]]
"""From uint8 images (b, size, size, 3), RGB, to boxes (b, a, 4), xyxy, and scores (b, a, t)."""


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
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


@dataclass(frozen=True, slots=True)
class SourceScore:
    """The AP of one source's own classes.

    Attributes
    ----------
    images
        Number of images scored.
    classes
        AP by class name; a class without a ground-truth box is left out.
    """

    images: int
    classes: Mapping[str, AveragePrecision]

    @property
    def map50(self) -> float:
        """Return the mean AP at IoU 0.5 over the classes."""
        return float(np.mean([score.ap50 for score in self.classes.values()]))

    @property
    def map50_95(self) -> float:
        """Return the mean AP over IoU 0.5 to 0.95 and the classes."""
        return float(np.mean([score.ap for score in self.classes.values()]))


def evaluate(
    predict: Predictor,
    dataset: Dataset,
    split: Split,
    imgsz: int,
    config: EvaluationConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, SourceScore]:
    """Return the scores of every source that has a ground-truth box in the split.

    All classes are asked for at once on every image; those that a source does not annotate
    are left out of its score.

    Parameters
    ----------
    predict
        The detector with the dataset's classes, in their order.
    dataset, split
        What to score.
    imgsz
        Side of the square that images are fitted into, in pixels.
    config
        How detections are chosen.
    progress
        Called with the number of images done and their total.
    """
    config = config or EvaluationConfig()
    samples = dataset.samples[split]
    results: list[ImageResult] = []
    for start in range(0, len(samples), config.batch):
        results.extend(_detect(predict, samples[start : start + config.batch], imgsz, config))
        if progress is not None:
            progress(len(results), len(samples))
    scores = {}
    for source_id, source in enumerate(dataset.sources):
        own = [r for r, s in zip(results, samples, strict=True) if s.source_id == source_id]
        by_class = average_precision(own, source.class_ids)
        if by_class:
            named = {dataset.classes[row]: score for row, score in by_class.items()}
            scores[source.name] = SourceScore(len(own), named)
    return scores


def _detect(
    predict: Predictor, samples: Sequence[Sample], imgsz: int, config: EvaluationConfig
) -> list[ImageResult]:
    boxes_of = [Letterbox.fit((sample.height, sample.width), imgsz) for sample in samples]
    images = [box.apply(load_image(sample)) for box, sample in zip(boxes_of, samples, strict=True)]
    boxes, scores = predict(np.stack(images))
    results = []
    for row, (sample, letterbox) in enumerate(zip(samples, boxes_of, strict=True)):
        found, score, label = select(
            boxes[row], scores[row], conf=config.conf, iou=config.iou, max_det=config.max_det
        )
        found = clip_boxes(letterbox.to_source(found), sample.height, sample.width)
        results.append(ImageResult(sample.boxes_xyxy, sample.labels, found, score, label))
    return results
