"""From masks to boxes: pure functions on arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.records.annotations import Annotation
from medrov_cli.core.settings.label_map import LabelMap

BoolArray = npt.NDArray[np.bool_]

_EIGHT = 8
"""Pixels that touch at a corner belong together."""

_NAMED = 5  # values that a message lists at most


class MaskObject(NamedTuple):
    """The box of some mask pixels, and how many they are.

    The box holds the last pixel: a single pixel has width and height 1.
    """

    left: int
    top: int
    width: int
    height: int
    area: int


def objects_in(mask: BoolArray, *, components: bool, min_area: int = 1) -> tuple[MaskObject, ...]:
    """Return the objects of a mask, from top to bottom, then from left to right.

    Parameters
    ----------
    mask
        bool, (h, w).
    components
        Each part whose pixels touch by side or corner is an object; else all pixels are one.
    min_area
        Objects of fewer pixels are left out.
    """
    if not mask.any():
        return ()
    found = _components(mask) if components else [_whole(mask)]
    return tuple(
        sorted((own for own in found if own.area >= min_area), key=lambda own: (own.top, own.left, own))
    )


def annotations_in(
    values: npt.NDArray[Any], labels: LabelMap, *, components: bool, min_area: int = 1
) -> tuple[Annotation, ...]:
    """Return the annotations of a label image, class by class in the order of the label map.

    Parameters
    ----------
    values
        Integers, (h, w); 0 is the background. Two values of the same name are one class: where they
        touch, they are one component.
    labels
        Names of the values.
    components, min_area
        See :func:`objects_in`.

    Raises
    ------
    MedrovError
        ``bad_metadata`` if there is a value without a name: nothing is left out unasked.
    """
    if labels.binary is None:
        _refuse_unnamed(values, labels)
    found: list[Annotation] = []
    for name in labels.class_names:
        mask = class_mask(values, labels, name)
        found += annotations_of(mask, name, components=components, min_area=min_area)
    return tuple(found)


def class_mask(values: npt.NDArray[Any], labels: LabelMap, name: str) -> BoolArray:
    """Return the pixels of a class in a label image, bool, (h, w)."""
    if labels.binary is not None:
        return np.asarray(values != 0)
    own = [value for value, given in labels.names.items() if given == name]
    return np.asarray(np.isin(values, own))


def annotations_of(
    mask: BoolArray, name: str, *, components: bool, min_area: int = 1
) -> tuple[Annotation, ...]:
    """Return the annotations of one class from its mask; see :func:`objects_in`."""
    return tuple(
        Annotation(name, (own.left, own.top, own.width, own.height), own.area)
        for own in objects_in(mask, components=components, min_area=min_area)
    )


def join_by_class(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Return one box around all of each class; areas add up."""
    by_class: dict[str, list[Annotation]] = defaultdict(list)
    for own in annotations:
        by_class[own.class_name].append(own)
    joined = []
    for name, same in by_class.items():
        left, top = (min(own.box_xywh[side] for own in same) for side in (0, 1))
        right, bottom = (max(own.box_xywh[side] + own.box_xywh[side + 2] for own in same) for side in (0, 1))
        joined.append(
            Annotation(
                name,
                (left, top, right - left, bottom - top),
                sum(own.area or 0 for own in same),
                object_number=1,
            )
        )
    return joined


def _components(mask: BoolArray) -> list[MaskObject]:
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask, dtype=np.uint8), connectivity=_EIGHT
    )
    return [MaskObject(*row) for row in stats[1:].tolist()]  # row 0 is the background


def _whole(mask: BoolArray) -> MaskObject:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    return MaskObject(left, top, right - left + 1, bottom - top + 1, int(np.count_nonzero(mask)))


def _refuse_unnamed(values: npt.NDArray[Any], labels: LabelMap) -> None:
    unnamed = sorted({int(value) for value in np.unique(values)} - {0, *labels.names})
    if unnamed:
        listed = ", ".join(str(value) for value in unnamed[:_NAMED]) + (
            ", ..." if len(unnamed) > _NAMED else ""
        )
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            f"The mask has values without a name: {listed}.",
            f"Name them in --labels, or leave them out with {unnamed[0]}= (no name).",
        )
