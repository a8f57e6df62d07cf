"""Scale of each class at training: what the tiles of slides and large images follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.datasets.dataset import Dataset

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class ObjectScale:
    """Scale of a class in the training split; see :class:`medrov_cli.core.weights.metadata.ClassEntry`.

    Attributes
    ----------
    mpp
        Micrometres per pixel of the model's input, the median of the images with the class.
    object_px
        Median side of the objects (root of the area of the box), in pixels of the model's input.
    """

    mpp: float | None
    object_px: float | None


def measure_scales(dataset: Dataset, imgsz: int) -> tuple[ObjectScale, ...]:
    """Return the scale of each class; null where no image states its pixels, or where there is no object.

    Images fill the model's input with their longer side. Mosaics and changes of the scale by augmentation do
    not count: they are spread around it.

    Parameters
    ----------
    dataset
        The dataset, whose split ``train`` is measured.
    imgsz
        Side of the model's input, in pixels.
    """
    mpps: list[list[float]] = [[] for _ in dataset.classes]
    sides: list[list[np.ndarray]] = [[] for _ in dataset.classes]
    for sample in dataset.samples["train"]:
        scale = imgsz / max(sample.height, sample.width)
        mpp = sample.mpp or dataset.sources[sample.source_id].mpp
        spans = sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2]
        roots = np.sqrt(spans.prod(1)) * scale
        for label in np.unique(sample.labels).tolist():
            sides[label].append(roots[sample.labels == label])
            if mpp is not None:
                mpps[label].append(mpp / scale)
    return tuple(
        ObjectScale(
            round(float(np.median(own)), _DIGITS) if own else None,
            round(float(np.median(np.concatenate(boxes))), _DIGITS) if boxes else None,
        )
        for own, boxes in zip(mpps, sides, strict=True)
    )
