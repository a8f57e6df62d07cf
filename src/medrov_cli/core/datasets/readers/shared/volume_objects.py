"""Objects of label volumes: parts that touch by side, edge or corner, through the slices.

The labels are read slice by slice; memory holds one slice and the boxes of the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.annotations import Annotation

BoolArray = npt.NDArray[np.bool_]
_Part = tuple[int, int, int, int, int]
"""Left, top, width, height and area of a part on a slice."""

_NEIGHBOURS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]


class VolumeObjects:
    """Numbers of the objects of one class, from 1 in the order of their first slice.

    The slices are added in order; after `finish` the numbers are known.
    """

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._parts: list[dict[_Part, int]] = []
        self._before: npt.NDArray[np.int64] | None = None

    def add(self, mask: BoolArray) -> None:
        """Add the mask of the class on the next slice, bool, (rows, columns)."""
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            np.ascontiguousarray(mask, dtype=np.uint8), connectivity=8
        )
        first = len(self._parents)
        self._parents += range(first, first + len(stats) - 1)
        boxes: list[_Part] = [
            (left, top, width, height, area) for left, top, width, height, area in stats[1:].tolist()
        ]
        self._parts.append({part: first + number for number, part in enumerate(boxes)})
        own = np.where(labels > 0, labels.astype(np.int64) + first - 1, -1) if boxes else None
        if self._before is not None and own is not None:
            self._join(self._before, own)
        self._before = own

    def finish(self) -> None:
        """Assign the numbers."""
        roots = [self._root(number) for number in range(len(self._parents))]
        number_of = {root: number for number, root in enumerate(dict.fromkeys(roots), 1)}
        self._parts = [{part: number_of[roots[own]] for part, own in found.items()} for found in self._parts]

    def numbered(self, number: int, annotations: Sequence[Annotation]) -> tuple[Annotation, ...]:
        """Return the annotations of a slice with the numbers of their objects."""
        found = self._parts[number]
        return tuple(
            replace(own, object_number=found[_part_of(own)]) if _part_of(own) in found else own
            for own in annotations
        )

    def _join(self, before: npt.NDArray[np.int64], own: npt.NDArray[np.int64]) -> None:
        """Join the parts of two neighbouring slices that touch."""
        padded = np.pad(before, 1, constant_values=-1)
        rows, columns = np.nonzero(own >= 0)
        values = own[rows, columns]
        for down, right in _NEIGHBOURS:
            others = padded[rows + 1 + down, columns + 1 + right]
            for one, other in np.unique(np.stack((values, others), 1)[others >= 0], axis=0).tolist():
                low, high = sorted((self._root(one), self._root(other)))
                self._parents[high] = low

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number


def _part_of(own: Annotation) -> _Part:
    left, top, width, height = (int(value) for value in own.box_xywh)
    return left, top, width, height, int(own.area or 0)
