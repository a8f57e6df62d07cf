"""Random detections, that tests of metrics make for themselves."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.metrics.detection_table import DetectionTable


def random_table(
    rng: np.random.Generator,
    images: int,
    classes: int,
    truths: int,
    found: int,
    *,
    grid: bool,
    crowds: bool = True,
) -> DetectionTable:
    """Boxes near one another; on a grid, with equal overlaps, equal scores and empty boxes."""
    size = rng.choice([12.0, 60.0, 150.0], (truths, 1)) * rng.uniform(0.7, 1.3, (truths, 2))
    truth_xyxy = np.concatenate([corner := rng.uniform(0, 200, (truths, 2)), corner + size], 1)
    near = rng.integers(0, max(truths, 1), found)
    xyxy = (truth_xyxy[near] if truths else np.zeros((found, 4))) + rng.normal(0, 6, (found, 4))
    xyxy[:, 2:] = np.maximum(xyxy[:, :2], xyxy[:, 2:])
    truth_image, truth_label = rng.integers(0, images, truths), rng.integers(0, classes, truths)
    image = truth_image[near] if truths else rng.integers(0, images, found)
    label = truth_label[near] if truths else rng.integers(0, classes, found)
    other = rng.random(found) < 0.2
    label[other] = rng.integers(0, classes, int(other.sum()))
    score = rng.random(found)
    if grid:
        truth_xyxy, xyxy, score = np.round(truth_xyxy / 10) * 10, np.round(xyxy / 10) * 10, score.round(1)
    sides = truth_xyxy[:, 2:] - truth_xyxy[:, :2]
    return DetectionTable(
        images=images,
        truth_image=truth_image,
        truth_label=truth_label,
        truth_xyxy=truth_xyxy,
        truth_area=sides.prod(1) * rng.uniform(0.6, 1, truths),  # of a mask within the box
        is_crowd=rng.random(truths) < (0.1 if crowds else 0),
        image=image,
        label=label,
        xyxy=xyxy,
        score=score,
    )
