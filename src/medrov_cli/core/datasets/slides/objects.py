"""Annotated objects of a slide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.records.boxes import FloatArray

Rings = tuple[FloatArray, ...]
"""Closed polygons of an object, (n, 2) each: column, row. A point inside an odd number of them is inside."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideObjects:
    """Annotated objects of a slide, in pixels of its finest level.

    Attributes
    ----------
    boxes_xyxy
        float64, (n, 4).
    names
        Class of each object.
    regions
        Outlines of the objects of the classes that were asked for as regions; these are not among the boxes.
    warnings
        Sentences for the user about what was left out.
    """

    boxes_xyxy: FloatArray
    names: tuple[str, ...]
    regions: tuple[Rings, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def join(cls, parts: Sequence[SlideObjects]) -> SlideObjects:
        """Return the objects of several files of one slide."""
        return cls(
            np.concatenate([part.boxes_xyxy for part in parts]),
            tuple(name for part in parts for name in part.names),
            tuple(rings for part in parts for rings in part.regions),
            tuple(dict.fromkeys(text for part in parts for text in part.warnings)),
        )

    def require_inside(self, width: int, height: int) -> None:
        """Refuse objects that lie outside of the slide.

        Raises
        ------
        MedrovError
            ``bad_metadata``.
        """
        low, high = self.boxes_xyxy[:, :2], self.boxes_xyxy[:, 2:]
        outside = (low >= (width, height)).any(1) | (high <= 0).any(1)
        if outside.any():
            raise MedrovError(
                ErrorCode.BAD_METADATA,
                f"{int(outside.sum())} object(s) lie outside of the {width} x {height} pixels.",
                "Give the slide for which the objects were drawn.",
            )


@dataclass
class ObjectList:
    """Objects of a file while it is read.

    Attributes
    ----------
    region_names
        Classes of regions, in lower case.
    """

    region_names: Collection[str] = ()
    boxes: list[FloatArray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    regions: list[Rings] = field(default_factory=list)

    def is_region(self, name: str) -> bool:
        """Return whether objects of a class are regions."""
        return name.casefold() in self.region_names

    def add(self, name: str, boxes_xyxy: FloatArray) -> None:
        """Add objects of a class, (n, 4)."""
        self.boxes.append(boxes_xyxy)
        self.names += [name] * len(boxes_xyxy)

    def finish(self, warnings: Sequence[str]) -> SlideObjects:
        """Return the objects."""
        boxes = np.concatenate([np.zeros((0, 4)), *self.boxes])
        return SlideObjects(boxes, tuple(self.names), tuple(self.regions), tuple(warnings))


def box_ring(box_xyxy: Sequence[float]) -> FloatArray:
    """Return the outline of a box, (4, 2)."""
    x1, y1, x2, y2 = box_xyxy
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], dtype=np.float64)


def are_inside(points_xy: FloatArray, rings: Rings) -> np.ndarray:
    """Return whether each point, (n, 2), is inside an odd number of polygons, bool, (n,).

    A point on a left or upper edge is inside, one on a right or lower edge is not.
    """
    inside = np.zeros(len(points_xy), dtype=bool)
    x, y = points_xy[:, 0], points_xy[:, 1]
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y1 != y2:
                crosses = (y1 <= y) != (y2 <= y)
                inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside
