"""Non-maximum suppression on the device of tensors."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor

from medrov_cli.core.base.optional import is_installed


def suppress(boxes_xyxy: Tensor, scores: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Return the rows that greedy suppression keeps, highest score first.

    The rows are those of :func:`medrov_cli.core.records.suppression.nms`. torchvision computes them where its
    operator exists for the device, otherwise :func:`suppress_by_matrix`.

    Parameters
    ----------
    boxes_xyxy
        float32, (n, 4).
    scores
        float32, (n,). Equal scores keep the order of the input.
    groups
        int64, (n,). Boxes of different groups do not suppress each other.
    iou
        A box with a larger IoU with a kept box of its group is removed.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, own = boxes_xyxy[order], groups[order]
    operator = _operator(boxes.device.type)
    if operator is None:
        return order[suppress_by_matrix(boxes, own, iou)]
    # float64: an offset by group of some million pixels leaves no digits of float32 for the box.
    apart = (
        boxes.double() + (own.double() * (boxes.max().double() + 1) if len(boxes) else own.double())[:, None]
    )
    # Scores by rank, so that equal scores keep their order.
    ranks = torch.arange(len(boxes), 0, -1, device=boxes.device, dtype=torch.float64)
    return order[cast(Tensor, operator(apart, ranks, iou))]


def suppress_by_matrix(boxes_xyxy: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Return the rows that greedy suppression keeps of boxes in the order of their scores.

    A box is kept if no kept box before it overlaps with it. The condition is applied to all boxes at a time
    until nothing changes; the number of passes is the length of the longest chain of boxes.
    """
    boxes = boxes_xyxy.float() if boxes_xyxy.device.type == "mps" else boxes_xyxy.double()
    sides = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - torch.maximum(
        boxes[:, None, :2], boxes[None, :, :2]
    )
    shared = sides.clamp_min(0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    removes = (shared > iou * (areas[:, None] + areas[None] - shared)) & (groups[:, None] == groups[None])
    removes = removes.triu(1)
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    while True:
        now = ~(removes & kept[:, None]).any(0)
        if bool((now == kept).all()):
            return kept.nonzero()[:, 0]
        kept = now


def _operator(device: str) -> Any:
    """Return torchvision's operator; null where it does not exist for the device."""
    if device == "mps" or not is_installed("torchvision"):
        return None  # MPS has no float64
    operator = import_module("torchvision.ops").nms
    if device not in _PROBED:
        row = torch.zeros((1, 4), dtype=torch.float64, device=device)
        try:
            operator(row, row[:, 0], 0.5)
            _PROBED[device] = True
        except (RuntimeError, NotImplementedError):  # torchvision without CUDA beside torch with CUDA
            _PROBED[device] = False
    return operator if _PROBED[device] else None


_PROBED: dict[str, bool] = {}
"""Whether torchvision's operator runs, by type of device."""
