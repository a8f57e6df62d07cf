"""Task-aligned assignment of ground-truth boxes to anchors (TOOD, arXiv 2108.07755).

The rule is that of ultralytics' v8 loss. An anchor is a candidate of every box that contains its centre. A
box is assigned the 10 candidates with the largest ``score^0.5 * CIoU^6``. An anchor of several boxes is
assigned to the one with the largest overlap. Only candidate pairs are computed, so that the cost grows with
the area of the boxes and not with their number.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from medrov_cli.core.model.geometry import complete_iou

TOP_CANDIDATES = 10
SCORE_POWER = 0.5
OVERLAP_POWER = 6.0
"""Ultralytics' v8 detection loss: ``tal_topk=10, alpha=0.5, beta=6.0``."""

MIN_SIDE = 16.0
"""Minimum side of a box in model pixels for the selection of candidates."""

_EPS = 1e-9


class Targets(NamedTuple):
    """Flat ground truth of a batch.

    Attributes
    ----------
    image_index
        int64, (n,): sample of the batch.
    labels
        int64, (n,): row of the sample's class embeddings.
    boxes_xyxy
        float32, (n, 4), in model pixels.
    """

    image_index: Tensor
    labels: Tensor
    boxes_xyxy: Tensor


class Assignment(NamedTuple):
    """Flat list of the positive anchors of a batch, in no defined order.

    Attributes
    ----------
    image_index, anchor_index, target_index
        int64, (p,): the anchor, and the row of its target.
    score
        float32, (p,): the soft target of the anchor's class logit.
    """

    image_index: Tensor
    anchor_index: Tensor
    target_index: Tensor
    score: Tensor


@torch.no_grad()
def assign(
    targets: Targets,
    boxes_xyxy: Tensor,
    logits: Tensor,
    grid_hw: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
) -> Assignment:
    """Assign anchors to targets.

    Parameters
    ----------
    targets
        Ground truth.
    boxes_xyxy
        Predicted boxes, float32, (b, a, 4), in model pixels.
    logits
        Class logits, float32, (b, a, t).
    grid_hw, strides
        Cells and model pixels per cell of each level.
    """
    anchors = logits.shape[1]
    target, anchor = _candidates(targets.boxes_xyxy, grid_hw, strides)
    image = targets.image_index[target]
    overlap = complete_iou(targets.boxes_xyxy[target], boxes_xyxy[image, anchor]).clamp_min(0)
    score = logits[image, anchor, targets.labels[target]].float().sigmoid()
    metric = score**SCORE_POWER * overlap**OVERLAP_POWER

    chosen = _best_per_target(target, metric, len(targets.labels)) & (metric > 0)
    cell = image * anchors + anchor
    chosen = _one_target_per_anchor(chosen, cell, overlap, logits.shape[0] * anchors)

    image, anchor, target = image[chosen], anchor[chosen], target[chosen]
    overlap, metric = overlap[chosen], metric[chosen]
    count = len(targets.labels)
    best_metric = metric.new_zeros(count).scatter_reduce_(0, target, metric, "amax")
    best_overlap = metric.new_zeros(count).scatter_reduce_(0, target, overlap, "amax")
    soft = metric * best_overlap[target] / (best_metric[target] + _EPS)
    return Assignment(image, anchor, target, soft)


def _candidates(
    boxes_xyxy: Tensor, grid_hw: tuple[tuple[int, int], ...], strides: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Return the pairs (target, anchor) in which the box contains the anchor's centre."""
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp_min(MIN_SIDE) / 2
    low, high = centre - half, centre + half
    pairs = []
    first = 0
    for (rows, columns), stride in zip(grid_hw, strides, strict=True):
        x = (torch.arange(columns, device=low.device) + 0.5) * stride
        y = (torch.arange(rows, device=low.device) + 0.5) * stride
        in_x = (x - low[:, :1] > _EPS) & (high[:, :1] - x > _EPS)  # (n, columns)
        in_y = (y - low[:, 1:] > _EPS) & (high[:, 1:] - y > _EPS)  # (n, rows)
        inside = (in_y.unsqueeze(2) & in_x.unsqueeze(1)).flatten(1)  # (n, rows * columns)
        target, cell = inside.nonzero(as_tuple=True)
        pairs.append((target, cell + first))
        first += rows * columns
    return torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])


def _best_per_target(target: Tensor, metric: Tensor, count: int) -> Tensor:
    """Return a mask of the best ``TOP_CANDIDATES`` pairs of each target."""
    order = torch.argsort(metric, descending=True, stable=True)
    order = order[torch.argsort(target[order], stable=True)]
    sizes = torch.bincount(target, minlength=count)
    starts = sizes.cumsum(0) - sizes
    rank = torch.arange(len(order), device=order.device) - starts[target[order]]
    chosen = torch.zeros_like(target, dtype=torch.bool)
    chosen[order] = rank < TOP_CANDIDATES
    return chosen


def _one_target_per_anchor(chosen: Tensor, cell: Tensor, overlap: Tensor, cells: int) -> Tensor:
    """Assign each anchor of several targets to the one with the largest overlap."""
    wanted = torch.bincount(cell[chosen], minlength=cells)[cell]
    best = overlap.new_full((cells,), -1).scatter_reduce_(0, cell, overlap, "amax")[cell]
    position = torch.arange(len(cell), device=cell.device)
    contender = torch.where(overlap == best, position, len(cell))
    first = torch.full((cells,), len(cell), device=cell.device).scatter_reduce_(0, cell, contender, "amin")
    return (chosen & (wanted == 1)) | ((wanted > 1) & (first[cell] == position))
