"""Region vectors of an image, and classes that are linear functions of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from medrov_cli.core.base.constants import STRIDES
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Boxes and region vectors at all anchors of one image, in model pixels.

    Attributes
    ----------
    boxes_xyxy
        float32, (anchors, 4), in model pixels; anchors are ordered by level, row and column.
    vectors
        float32, (anchors, c): features of the head before the product with the classes.
    levels
        int64, (anchors,): level of each anchor, 0 for the smallest stride.
    """

    boxes_xyxy: Float32Array
    vectors: Float32Array
    levels: IntArray


@dataclass(frozen=True, eq=False)
class RegionColumns:
    """Classes as vectors beside those of the text; the logit of a class is the largest of its vectors.

    Each class is computed from the region vectors alone. Other classes do not change it, and it changes no
    other class.

    Attributes
    ----------
    kernels
        float32, (levels, vectors, c): the logit of a vector at an anchor is ``kernel @ h + constant``.
    constants
        float32, (levels, vectors).
    classes
        int64, (vectors,): class of each vector, rising from 0 without a gap.
    floor
        Lowest score of a candidate of these classes.
    alone
        Whether these are the only columns: the texts of the engine then guide its attention, and no more.
    """

    kernels: Float32Array
    constants: Float32Array
    classes: IntArray
    floor: float = 0.0
    alone: bool = False

    @cached_property
    def count(self) -> int:
        """Return the number of classes."""
        return int(self.classes[-1]) + 1

    def part(self, first: int, stop: int) -> RegionColumns:
        """Return the classes from ``first`` to before ``stop``."""
        rows = (self.classes >= first) & (self.classes < stop)
        return replace(
            self,
            kernels=self.kernels[:, rows],
            constants=self.constants[:, rows],
            classes=self.classes[rows] - first,
        )

    @cached_property
    def _firsts(self) -> IntArray:
        return np.searchsorted(self.classes, np.arange(self.count))

    def logits(self, level: int, vectors: Float32Array) -> Float32Array:
        """Return the logits of all classes, (n, classes), from region vectors of a level, (n, c)."""
        every = vectors @ self.kernels[level].T + self.constants[level]
        if len(self.classes) == self.count:
            return np.asarray(every)
        return np.asarray(np.maximum.reduceat(every, self._firsts, axis=1))


def levels_of(imgsz: int) -> IntArray:
    """Return the level of each anchor, int64, (anchors,)."""
    return np.repeat(np.arange(len(STRIDES)), [(imgsz // stride) ** 2 for stride in STRIDES])


def centres_of(imgsz: int) -> FloatArray:
    """Return the centre of each anchor in model pixels, x before y, float64, (anchors, 2)."""
    grids = [
        (np.indices((imgsz // stride, imgsz // stride))[::-1].reshape(2, -1).T + 0.5) * stride
        for stride in STRIDES
    ]
    return np.concatenate(grids)
