"""Decoding of a graph's parts to boxes and scores, at anchors above the threshold only.

Nearly all anchors of an image are below every threshold. Their boxes are not decoded, and their class scores
are not computed: the graph returns the largest logit of each anchor. Boxes and scores of the others are
computed from their features in float32, independently of the precision of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from medrov_cli.core.base.constants import REG_MAX, STRIDES
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array

PARTS = tuple(f"{part}{level}" for level in range(len(STRIDES)) for part in ("distances", "hidden", "best"))
"""Names of the outputs of the graph."""

LOGIT_SLACK = 0.25
"""Margin in logits below the floor in which anchors are decoded, so that rounding (bf16) loses none."""


def decode_anchors(
    parts: Mapping[str, Float32Array], text: FoldedText, floor: float, grid_hw: tuple[int, int]
) -> Candidates:
    """Return the candidates of one image.

    Parameters
    ----------
    parts
        ``distances0`` (64, anchors), ``hidden0`` (c, anchors), ``best0`` (anchors,), and so on for
        each level.
    text
        The classes of the graph.
    floor
        Anchors with a lower best score are left out; 0: none are left out.
    grid_hw
        Height and width of the model input, in pixels.
    """
    lowest = -math.inf if floor <= 0 else math.inf if floor >= 1 else math.log(floor / (1 - floor))
    boxes, scores = [], []
    for level, stride in enumerate(STRIDES):
        best = parts[f"best{level}"]
        anchors = np.flatnonzero(best >= lowest - LOGIT_SLACK)
        logits = parts[f"hidden{level}"][:, anchors].T @ text.kernels[level].T + text.constants[level].T
        if lowest > -math.inf:
            sure = logits.max(1) >= lowest
            anchors, logits = anchors[sure], logits[sure]
        boxes.append(_decoded(parts[f"distances{level}"][:, anchors], anchors, stride, grid_hw[1] // stride))
        scores.append(1 / (1 + np.exp(-np.maximum(logits, -80))))  # exp of smaller logits would overflow
    return Candidates(np.concatenate(boxes), np.concatenate(scores))


def keep_above(boxes_xyxy: Float32Array, scores: Float32Array, floor: float) -> Candidates:
    """Return the candidates of one image above a floor from all boxes, (a, 4), and scores, (a, classes)."""
    if floor <= 0:
        return Candidates(boxes_xyxy, scores)
    anchors = np.flatnonzero(scores.max(1) >= floor)
    return Candidates(boxes_xyxy[anchors], scores[anchors])


def _decoded(
    distances: Float32Array, anchors: np.ndarray[tuple[int], np.dtype[np.int64]], stride: int, columns: int
) -> Float32Array:
    """Return boxes, (n, 4), from distance logits, (64, n), of anchors, (n,)."""
    by_side = distances.reshape(4, REG_MAX, -1)
    weights = np.exp(by_side - by_side.max(1, keepdims=True))
    bins = np.arange(REG_MAX, dtype=np.float32)
    cells = np.einsum("sbn,b->sn", weights, bins) / weights.sum(1)  # (4, n)
    centres = np.stack((anchors % columns, anchors // columns)).astype(np.float32) + np.float32(0.5)
    corners = np.concatenate((centres - cells[:2], centres + cells[2:])) * np.float32(stride)
    return np.ascontiguousarray(corners.T, dtype=np.float32)
