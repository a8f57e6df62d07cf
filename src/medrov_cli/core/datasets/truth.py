"""Ground truth of the samples of a split: its identity, and truth beside detections."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.sample_images import unreadable_image
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.datasets.volume_records import volume_slice_to_json
from medrov_cli.core.metrics.detection_table import ImageResult
from medrov_cli.core.records.detections import Detections, Failure


def truth_sha256(dataset: Dataset, samples: Sequence[Sample]) -> str:
    """Return the identity of a split's truth: names of images and classes, boxes, labels."""
    digest = hashlib.sha256(json.dumps(dataset.classes).encode())
    for sample in samples:
        name = f"{dataset.sources[sample.source_id].name}/{sample.image_path.name}"
        digest.update(json.dumps([name, sample.height, sample.width]).encode())
        for values in (sample.boxes_xyxy, sample.labels, sample.crowd_xyxy, sample.crowd_labels):
            digest.update(np.ascontiguousarray(values).tobytes())
        if sample.volume is not None:
            digest.update(json.dumps(volume_slice_to_json(sample.volume)).encode())
            if sample.object_numbers is not None:
                digest.update(np.ascontiguousarray(sample.object_numbers).tobytes())
    return digest.hexdigest()


def with_truth(sample: Sample, detections: Detections) -> ImageResult:
    """Return truth and detections of one image."""
    return ImageResult(
        truth_xyxy=sample.boxes_xyxy,
        truth_labels=sample.labels,
        detections=detections,
        truth_areas=sample.areas,
        crowd_xyxy=sample.crowd_xyxy,
        crowd_labels=sample.crowd_labels,
    )


def require_readable(item: Detections | Failure) -> Detections:
    """Return the detections of a sample.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: its image cannot be read.
    """
    if isinstance(item, Failure):
        raise unreadable_image(item.path, item.error) from item.error
    return item
