"""Decoding of a graph's parts to boxes and scores, at anchors above the threshold only.

Nearly all anchors of an image are below every threshold. Their boxes are not decoded, and their class scores
are not computed: the graph returns the largest logit of each anchor. Boxes and scores of the others are
computed from their features in float32, independently of the precision of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from medrov_cli.core.base.constants import POOLED, REG_MAX, STRIDES
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.regions import RegionColumns, Regions

PARTS = (
    *(f"{part}{level}" for level in range(len(STRIDES)) for part in ("distances", "hidden", "best")),
    POOLED,
)
"""Names of the outputs of the graph."""

LOGIT_SLACK = 0.25
"""Margin in logits below the floor in which anchors are decoded, so that rounding (bf16) loses none."""


def decode_anchors(
    parts: Mapping[str, Float32Array],
    text: FoldedText,
    floor: float,
    grid_hw: tuple[int, int],
    learned: RegionColumns | None = None,
) -> Candidates:
    """Return the candidates of one image.

    The candidates of texts do not depend on ``learned``, not even in their last bits.

    Parameters
    ----------
    parts
        ``distances0`` (64, anchors), ``hidden0`` (c, anchors), ``best0`` (anchors,), and so on for
        each level, and ``pooled`` (2 * channels,).
    text
        The classes of the graph.
    floor
        Anchors with a lower best score of a text are left out; 0: none are left out.
    grid_hw
        Height and width of the model input, in pixels.
    learned
        Classes beside those of the texts, with a floor of their own; their columns follow those of the texts.
    """
    if learned is None:
        return _text_candidates(parts, text, floor, grid_hw[1])
    found = _learned_candidates(parts, learned, grid_hw[1])
    return found if learned.alone else _text_candidates(parts, text, floor, grid_hw[1]).beside(found)


def decode_learned(regions: Regions, learned: RegionColumns, pooled: Float32Array | None) -> Candidates:
    """Return the candidates of learned classes from the region vectors of one image."""
    lowest = lowest_logit(learned.floor)
    logits = np.concatenate(
        [
            learned.logits(level, regions.vectors[regions.levels == level])
            for level in range(len(learned.kernels))
        ]
    )
    rows = np.flatnonzero(logits.max(1) >= lowest)
    return Candidates(regions.boxes_xyxy[rows], _sigmoid(logits[rows]), pooled)


def regions_of(parts: Mapping[str, Float32Array], grid_hw: tuple[int, int]) -> Regions:
    """Return boxes and region vectors at all anchors of one image; see :func:`decode_anchors`."""
    boxes, vectors, levels = [], [], []
    for level, stride in enumerate(STRIDES):
        distances, hidden = parts[f"distances{level}"], parts[f"hidden{level}"]
        boxes.append(_decoded(distances, np.arange(distances.shape[1]), stride, grid_hw[1] // stride))
        vectors.append(np.ascontiguousarray(hidden.T))
        levels.append(np.full(hidden.shape[1], level))
    return Regions(np.concatenate(boxes), np.concatenate(vectors), np.concatenate(levels))


def lowest_logit(floor: float) -> float:
    """Return the logit of a score; infinite outside 0 and 1."""
    return -math.inf if floor <= 0 else math.inf if floor >= 1 else math.log(floor / (1 - floor))


def _text_candidates(
    parts: Mapping[str, Float32Array], text: FoldedText, floor: float, width: int
) -> Candidates:
    lowest = lowest_logit(floor)
    boxes, scores = [], []
    for level, stride in enumerate(STRIDES):
        best = parts[f"best{level}"]
        anchors = np.flatnonzero(best >= lowest - LOGIT_SLACK)
        logits = parts[f"hidden{level}"][:, anchors].T @ text.kernels[level].T + text.constants[level].T
        if lowest > -math.inf:
            sure = logits.max(1) >= lowest
            anchors, logits = anchors[sure], logits[sure]
        boxes.append(_decoded(parts[f"distances{level}"][:, anchors], anchors, stride, width // stride))
        scores.append(_sigmoid(logits))
    return Candidates(np.concatenate(boxes), np.concatenate(scores), parts[POOLED].copy())


def _learned_candidates(parts: Mapping[str, Float32Array], learned: RegionColumns, width: int) -> Candidates:
    """Return the candidates of learned classes; boxes are decoded for candidates only."""
    lowest = lowest_logit(learned.floor)
    boxes, scores = [], []
    for level, stride in enumerate(STRIDES):
        logits = learned.logits(level, np.ascontiguousarray(parts[f"hidden{level}"].T))
        anchors = np.flatnonzero(logits.max(1) >= lowest)
        boxes.append(_decoded(parts[f"distances{level}"][:, anchors], anchors, stride, width // stride))
        scores.append(_sigmoid(logits[anchors]))
    return Candidates(np.concatenate(boxes), np.concatenate(scores), parts[POOLED].copy())


def _sigmoid(logits: Float32Array) -> Float32Array:
    return np.asarray(1 / (1 + np.exp(-np.maximum(logits, -80))))  # exp of smaller logits would overflow


def keep_above(
    boxes_xyxy: Float32Array, scores: Float32Array, floor: float, pooled: Float32Array | None = None
) -> Candidates:
    """Return the candidates of one image above a floor from all boxes, (a, 4), and scores, (a, classes)."""
    if floor <= 0:
        return Candidates(boxes_xyxy, scores, pooled)
    anchors = np.flatnonzero(scores.max(1) >= floor)
    return Candidates(boxes_xyxy[anchors], scores[anchors], pooled)


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
