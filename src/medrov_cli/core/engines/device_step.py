"""Network and selection as one step of static shapes, and its candidates on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medrov_cli.core.engines.device_selection import MARGIN_SLACK, ClassGroup, DeviceSelection, FixedPairs
from medrov_cli.core.engines.device_suppression import suppress
from medrov_cli.core.engines.interface import SelectionRule
from medrov_cli.core.records.detections import ClassCandidates
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.suppression import MAX_CANDIDATES

MOST_SUPPRESSED = 4096
"""Largest number of pairs that are suppressed at a time: the work grows with its square."""

_Parts = Any
_Network = Callable[[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]], _Parts]


class PairStep:
    """Step from images on the device to pairs of an anchor and a class.

    Parameters
    ----------
    network
        Function of images, kernels and constants of each level to the parts of the network; see
        :class:`~medrov_cli.core.engines.torch_engine.TorchEngine`.
    groups
        Classes.
    imgsz
        Side of the square model input, in pixels.
    rule
        Thresholds and suppression.
    cast
        Function of a tensor to the format of the network.
    """

    def __init__(
        self,
        network: _Network,
        groups: tuple[ClassGroup, ...],
        imgsz: int,
        rule: SelectionRule,
        cast: Callable[[Tensor], Tensor],
    ) -> None:
        self._network = network
        self._iou = rule.iou
        self._classes = len(rule.thresholds)
        self._selection = DeviceSelection(groups, imgsz)
        self._lowest = self._selection.lowest(rule.thresholds)
        shifts = torch.cat(
            [group.shifts(own) for group, own in zip(groups, self._split(groups), strict=True)]
        )
        levels = range(len(groups[0].kernels))
        self._kernels = tuple(cast(torch.cat([own.kernels[level] for own in groups])) for level in levels)
        self._constants = tuple(
            cast((torch.cat([own.constants[level] for own in groups]) - shifts)[None]) for level in levels
        )

    def _split(self, groups: tuple[ClassGroup, ...]) -> tuple[Tensor, ...]:
        return torch.split(self._lowest, [group.count for group in groups])

    def forward(self, images: Tensor) -> tuple[_Parts, FixedPairs]:
        """Return the parts of the network for images, uint8, (b, h, w, 3), and their pairs."""
        parts = self._network(images, self._kernels, self._constants)
        return parts, self._selection.fixed(parts.best, parts.hidden, parts.distances, self._lowest)

    def finish(self, outputs: tuple[_Parts, FixedPairs]) -> list[ClassCandidates]:
        """Return the pairs of each image on the host, suppressed on the device."""
        parts, fixed = outputs
        pooled = parts.pooled.cpu().numpy()
        fits = self._selection.fits(fixed)
        images, places = ((fixed.rows[..., 6] >= -MARGIN_SLACK) & fits[:, None]).nonzero().unbind(1)
        rows = torch.cat((fixed.rows[images, places, :6], images.float()[:, None]), 1)
        parts_of_batch = [rows]
        if len(rows) > MOST_SUPPRESSED:
            parts_of_batch = [rows[rows[:, 6] == number] for number in range(len(pooled))]
        kept = torch.cat([self._suppressed(part) for part in parts_of_batch]).cpu().numpy()
        return [
            to_candidates(kept[kept[:, 6] == number], pooled[number], is_suppressed=True)
            if is_whole
            else self._without_limits(parts, number, pooled[number])
            for number, is_whole in enumerate(fits.tolist())
        ]

    def _suppressed(self, rows: Tensor) -> Tensor:
        """Return rows, (n, 7) with the image in the last column, after suppression within it and a class."""
        groups = (rows[:, 6] * self._classes + rows[:, 5]).long()
        return rows[suppress(rows[:, :4], rows[:, 4], groups, self._iou)]

    def _without_limits(self, parts: _Parts, number: int, pooled: Float32Array) -> ClassCandidates:
        """Return the pairs of an image that has more than the fixed form can hold."""
        own = parts.best[number], parts.hidden[number], parts.distances[number]
        rows = self._selection.every_pair(*own, self._lowest)
        if len(rows) > MAX_CANDIDATES:
            best = rows[:, 4].argsort(descending=True, stable=True)[:MAX_CANDIDATES]
            rows = rows[best.sort().values]
        few = len(rows) <= MOST_SUPPRESSED
        if few:
            rows = rows[suppress(rows[:, :4], rows[:, 4], rows[:, 5].long(), self._iou)]
        return to_candidates(rows.cpu().numpy(), pooled, is_suppressed=few)


def to_candidates(rows: Float32Array, pooled: Float32Array, *, is_suppressed: bool) -> ClassCandidates:
    """Return rows of left, top, right, bottom, score and class as candidates."""
    boxes, scores = np.ascontiguousarray(rows[:, :4]), np.ascontiguousarray(rows[:, 4])
    return ClassCandidates(boxes, scores, rows[:, 5].astype(np.int64), pooled, is_suppressed)
