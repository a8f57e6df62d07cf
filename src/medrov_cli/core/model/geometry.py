"""Differentiable box geometry."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_EPS = 1e-7


def complete_iou(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """Return the complete IoU (CIoU, arXiv 2005.03572) of pairs of boxes.

    Parameters
    ----------
    first_xyxy, second_xyxy
        float, (n, 4).

    Returns
    -------
    Tensor
        float, (n,): IoU minus the terms of centre distance and aspect difference; at most 1.
    """
    ax1, ay1, ax2, ay2 = first_xyxy.unbind(-1)
    bx1, by1, bx2, by2 = second_xyxy.unbind(-1)
    aw, ah = ax2 - ax1, ay2 - ay1 + _EPS
    bw, bh = bx2 - bx1, by2 - by1 + _EPS
    overlap_w = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp_min(0)
    overlap_h = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp_min(0)
    intersection = overlap_w * overlap_h
    iou = intersection / (aw * ah + bw * bh - intersection + _EPS)
    hull_w = torch.maximum(ax2, bx2) - torch.minimum(ax1, bx1)
    hull_h = torch.maximum(ay2, by2) - torch.minimum(ay1, by1)
    diagonal = hull_w**2 + hull_h**2 + _EPS
    distance = ((bx1 + bx2 - ax1 - ax2) ** 2 + (by1 + by2 - ay1 - ay2) ** 2) / 4
    aspect = (4 / math.pi**2) * (torch.atan(bw / bh) - torch.atan(aw / ah)) ** 2
    with torch.no_grad():
        weight = aspect / (aspect - iou + (1 + _EPS))
    return iou - (distance / diagonal + aspect * weight)
