"""Selection of candidates on the device of the network, before anything reaches the host.

The fixed form has static shapes: the anchors with the best logits, and of these the best pairs of an anchor
and a class. A GPU can therefore record it together with the network. If an image has more candidates than
fit, its pairs are selected again without limits, from the same outputs of the network.

Logits of selected anchors, and boxes, are computed in float32, independently of the format of the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medrov_cli.core.base.constants import REG_MAX, STRIDES
from medrov_cli.core.engines.anchors import LOGIT_SLACK, lowest_logit
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.regions import RegionColumns, levels_of

ANCHORS = 512
"""Largest number of anchors of an image in the fixed form."""

PAIRS = 1024
"""Largest number of pairs of an image in the fixed form."""

LOWEST_LOGIT = -40.0
"""Logit that stands for a threshold of 0: no score of float32 is lower than its sigmoid, 4e-18, in effect."""

MARGIN_SLACK = 1e-4
"""Margin in logits below a threshold in which pairs are kept; the host applies the threshold to the score."""


class FixedPairs(NamedTuple):
    """Pairs of the fixed form.

    Attributes
    ----------
    rows
        float32, (batch, pairs, 7): left, top, right, bottom, score, class, and logit above the threshold.
    counts
        int64, (batch, 2): anchors and pairs above the thresholds, before the limits.
    """

    rows: Tensor
    counts: Tensor


@dataclass(frozen=True, eq=False)
class ClassGroup:
    """Classes as float32 matrices on the device: texts, or learned classes.

    Attributes
    ----------
    kernels, constants
        Of each level, (rows, c) and (rows,).
    members
        int64, (classes, most): rows of each class, the last one repeated; null: one row a class.
    """

    kernels: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]
    members: Tensor | None

    @property
    def count(self) -> int:
        """Return the number of classes."""
        return len(self.kernels[0]) if self.members is None else len(self.members)

    def shifts(self, by_class: Tensor) -> Tensor:
        """Return a number of each class, (classes,), for each of its rows, (rows,)."""
        if self.members is None:
            return by_class
        rows = torch.zeros(len(self.kernels[0]), device=by_class.device)
        rows[self.members] = by_class[:, None].expand(self.members.shape)
        return rows

    def logits(self, level: int, vectors: Tensor) -> Tensor:
        """Return the logits of region vectors of a level, (..., c), as (..., classes)."""
        rows = torch.matmul(vectors, self.kernels[level].T) + self.constants[level]
        return rows if self.members is None else rows[..., self.members].amax(-1)


def group_of_text(text: FoldedText, device: torch.device) -> ClassGroup:
    """Return the classes of texts on a device."""
    return ClassGroup(
        tuple(torch.from_numpy(array).to(device) for array in text.kernels),
        tuple(torch.from_numpy(array[:, 0].copy()).to(device) for array in text.constants),
        None,
    )


def group_of_learned(learned: RegionColumns, device: torch.device) -> ClassGroup:
    """Return learned classes on a device."""
    members = None
    if len(learned.classes) > learned.count:
        rows = [np.flatnonzero(learned.classes == number) for number in range(learned.count)]
        most = max(map(len, rows))
        padded = np.stack([np.concatenate((own, np.repeat(own[-1:], most - len(own)))) for own in rows])
        members = torch.from_numpy(padded).to(device)
    return ClassGroup(
        tuple(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in learned.kernels),
        tuple(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in learned.constants),
        members,
    )


class DeviceSelection:
    """Selection for one size of the model input.

    Parameters
    ----------
    groups
        Classes; the columns of a group follow those of the group before it.
    imgsz
        Side of the square model input, in pixels.
    """

    def __init__(self, groups: tuple[ClassGroup, ...], imgsz: int) -> None:
        self.groups = groups
        device = groups[0].kernels[0].device
        levels = levels_of(imgsz)
        grids = [np.indices((imgsz // s, imgsz // s))[::-1].reshape(2, -1).T + 0.5 for s in STRIDES]
        strides = np.array(STRIDES, dtype=np.float32)[levels]
        self._levels = torch.from_numpy(levels).to(device)
        self._centres = torch.from_numpy(np.concatenate(grids).astype(np.float32)).to(device)
        self._strides = torch.from_numpy(strides).to(device)
        self._bins = torch.arange(REG_MAX, device=device, dtype=torch.float32)
        self._starts = np.searchsorted(levels, np.arange(len(STRIDES) + 1)).tolist()

    def lowest(self, thresholds: FloatArray) -> Tensor:
        """Return the logits of thresholds, float32, (classes,)."""
        logits = [min(max(lowest_logit(float(value)), LOWEST_LOGIT), -LOWEST_LOGIT) for value in thresholds]
        return torch.tensor(logits, dtype=torch.float32, device=self._bins.device)

    def boxes(self, distances: Tensor, anchors: Tensor) -> Tensor:
        """Return boxes, float32, (..., 4), of distance logits, (..., 64), at anchors, int64, (...)."""
        by_side = distances.float().view(*distances.shape[:-1], 4, REG_MAX).softmax(-1)
        cells = torch.matmul(by_side, self._bins)
        centres = self._centres[anchors]
        corners = torch.cat((centres - cells[..., :2], centres + cells[..., 2:]), -1)
        return corners * self._strides[anchors][..., None]

    def fixed(self, best: Tensor, hidden: Tensor, distances: Tensor, lowest: Tensor) -> FixedPairs:
        """Return the best pairs of a batch, ordered by anchor and class.

        Parameters
        ----------
        best
            (batch, anchors): largest logit above its threshold.
        hidden, distances
            (batch, anchors, c) and (batch, anchors, 64).
        lowest
            Logits of the thresholds, (classes,).
        """
        found = (best >= -LOGIT_SLACK).sum(1)
        anchors = best.topk(min(ANCHORS, best.shape[1]), 1, sorted=False).indices.sort(1).values
        vectors = _rows_of(hidden, anchors).float()
        logits = self._logits_anywhere(vectors, self._levels[anchors])
        margins = (logits - lowest).flatten(1)
        classes = logits.shape[2]
        places = margins.topk(min(PAIRS, margins.shape[1]), 1, sorted=False).indices.sort(1).values
        boxes = self.boxes(_rows_of(distances, anchors), anchors)
        columns = (
            _rows_of(boxes, places // classes),
            logits.flatten(1).gather(1, places).sigmoid()[..., None],
            (places % classes).float()[..., None],
            margins.gather(1, places)[..., None],
        )
        counts = torch.stack((found, (margins >= -MARGIN_SLACK).sum(1)), 1)
        return FixedPairs(torch.cat(columns, 2), counts)

    def fits(self, found: FixedPairs) -> Tensor:
        """Return whether the fixed form holds every pair of each image, bool, (batch,)."""
        limits = torch.tensor((min(ANCHORS, len(self._levels)), found.rows.shape[1]))
        return (found.counts <= limits.to(found.counts.device)).all(1)

    def every_pair(self, best: Tensor, hidden: Tensor, distances: Tensor, lowest: Tensor) -> Tensor:
        """Return all pairs of one image above the thresholds, (n, 6): the first columns of the fixed form."""
        found = []
        for anchors, logits in self._above(best, hidden, -LOGIT_SLACK):
            rows, labels = (logits - lowest >= -MARGIN_SLACK).nonzero().unbind(1)
            boxes = self.boxes(distances[anchors[rows]], anchors[rows])
            scores = logits[rows, labels].sigmoid()
            found.append(torch.cat((boxes, scores[:, None], labels.float()[:, None]), 1))
        return torch.cat(found)

    def dense(self, best: Tensor, hidden: Tensor, distances: Tensor, floor: float) -> tuple[Tensor, Tensor]:
        """Return boxes, (n, 4), and scores, (n, classes), of one image where a score reaches the floor."""
        lowest = lowest_logit(floor)
        boxes, scores = [], []
        for anchors, logits in self._above(best, hidden, lowest - LOGIT_SLACK):
            sure = logits.amax(1) >= lowest
            boxes.append(self.boxes(distances[anchors[sure]], anchors[sure]))
            scores.append(logits[sure].sigmoid())
        return torch.cat(boxes), torch.cat(scores)

    def _above(self, best: Tensor, hidden: Tensor, lowest: float) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield anchors, (n,), and logits, (n, classes), of each level where ``best`` reaches a logit."""
        for level, (start, end) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            anchors = start + (best[start:end] >= lowest).nonzero()[:, 0]
            vectors = hidden[anchors].float()
            yield anchors, torch.cat([group.logits(level, vectors) for group in self.groups], 1)

    def _logits_anywhere(self, vectors: Tensor, levels: Tensor) -> Tensor:
        """Return the logits of region vectors, (..., c), of mixed levels: every level is computed."""
        found = None
        for level in range(len(STRIDES)):
            own = torch.cat([group.logits(level, vectors) for group in self.groups], -1)
            found = own if found is None else torch.where((levels == level)[..., None], own, found)
        if found is None:
            raise ValueError("a network has levels")
        return found


def _rows_of(values: Tensor, rows: Tensor) -> Tensor:
    """Return rows, (batch, k), of values, (batch, n, c)."""
    return values.gather(1, rows[..., None].expand(-1, -1, values.shape[2]))
