"""Fit of the box map of a class: a ridge regression on the network's boxes of the examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medrov_cli.core.learning.views import ExampleView
from medrov_cli.core.prediction.example_anchors import assign_anchors
from medrov_cli.core.records.box_maps import LEAST_SIDE, BoxMap, centres_and_sides, log_sides
from medrov_cli.core.records.boxes import FloatArray, iou_matrix
from medrov_cli.core.records.regions import centres_of

STRENGTH = 3.0
"""Penalty of the coefficients of the sides, in examples: with few of them the map is nearly a constant."""

LEAST_DEVIATION = 0.05
"""Smallest deviation of the logarithm of a side: examples may be of one size."""

_CONSTANT = 1e-3  # penalty of the constants, in examples


def fit_box_map(views: Sequence[ExampleView], label: int, imgsz: int) -> BoxMap | None:
    """Return the map from the network's boxes of a class to its examples; null if none of them overlap.

    Parameters
    ----------
    views
        Views of the examples.
    label
        Row of the class.
    imgsz
        Side of the square model input, in pixels.
    """
    parts = [_pairs(view, label, imgsz) for view in views if (view.labels == label).any()]
    if not parts:
        return None
    examples = sum(int((view.labels == label).sum()) for view in views)
    boxes, truth, weights = (np.concatenate(own) for own in zip(*parts, strict=True))
    if not len(boxes):
        return None
    centres, sides = centres_and_sides(boxes)
    least = LEAST_SIDE * imgsz
    sides = np.maximum(sides, least)
    true_centres, true_sides = centres_and_sides(truth)
    changes = np.concatenate(
        ((true_centres - centres) / sides, np.log(np.maximum(true_sides, least) / sides)), axis=1
    )
    inputs = log_sides(sides, imgsz)
    mean, deviation = inputs.mean(0), np.maximum(inputs.std(0), LEAST_DEVIATION)
    rows = np.column_stack(((inputs - mean) / deviation, np.ones(len(inputs))))
    penalty = np.diag([STRENGTH, STRENGTH, _CONSTANT]) * weights.sum() / examples
    weighted = rows * weights[:, None]
    found = np.linalg.solve(rows.T @ weighted + penalty, weighted.T @ changes)
    return BoxMap(tuple(mean.tolist()), tuple(deviation.tolist()), tuple(found.ravel().tolist()))


def _pairs(view: ExampleView, label: int, imgsz: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the network's boxes of the examples of a view, the examples, and weights: (n, 4) twice, (n,)."""
    examples = view.truth_xyxy[view.labels == label].astype(np.float64)
    targets, _ = assign_anchors(view.boxes_xyxy, examples, view.ignored_xyxy, centres_of(imgsz))
    rows = np.flatnonzero(targets > 0)
    boxes = view.boxes_xyxy[rows].astype(np.float64)
    overlap = iou_matrix(boxes, examples)
    known = overlap.max(1) > 0  # an anchor may stand for an example that its box does not touch
    return boxes[known], examples[overlap[known].argmax(1)], targets[rows[known]]
