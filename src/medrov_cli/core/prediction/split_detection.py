"""Run a detector over the images of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.metrics.detection_table import ImageResult
from medrov_cli.core.records.boxes import clip_boxes
from medrov_cli.core.records.detections import Candidates, Found
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.suppression import select
from medrov_cli.core.settings.groups import SelectionSettings

Predictor = Callable[[UInt8Array, float], list[Candidates]]
"""See :meth:`medrov_cli.core.engines.interface.Engine.infer`."""


def detect_batch(
    predict: Predictor, samples: Sequence[Sample], imgsz: int, selection: SelectionSettings
) -> list[Found]:
    """Return the detections of some images, which go through the network together."""
    letterboxes = [Letterbox.fit((sample.height, sample.width), imgsz) for sample in samples]
    images = [box.apply(load_image(sample)) for box, sample in zip(letterboxes, samples, strict=True)]
    conf = selection.conf or 0.0
    candidates = predict(np.stack(images), conf)
    results = []
    for row, (sample, letterbox) in enumerate(zip(samples, letterboxes, strict=True)):
        found, score, label = select(
            candidates[row].boxes_xyxy,
            candidates[row].scores,
            conf=conf,
            iou=selection.iou,
            max_det=selection.max_det,
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
