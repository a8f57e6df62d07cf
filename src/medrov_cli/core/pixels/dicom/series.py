"""Grouping of the DICOM files of a folder to series, ordered along the body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from medrov_cli.core.pixels.quiet import silence_python

_STACK_TAGS = ["FrameOfReferenceUID", "SeriesNumber", "Modality", "Rows", "Columns"]
"""Common attributes of the slices of one stack, used if de-identification removed the series UID."""

_TAGS = [
    "SeriesInstanceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "InstanceNumber",
    *_STACK_TAGS,
]

_ORIENTATION_DECIMALS = 2
"""Number of decimals to which direction cosines of one orientation agree (about half a degree)."""


@dataclass(frozen=True, slots=True)
class SlicePlace:
    """Position of one file in its series.

    Attributes
    ----------
    path
        The file.
    group
        Key of the stack: series UID and rounded orientation.
    position_mm
        Position along the normal of the slice; null if it is not in the header.
    instance_number
        Instance number; null if it is not in the header.
    """

    path: str
    group: tuple[object, ...]
    position_mm: float | None
    instance_number: int | None


def group_series(paths: Sequence[str]) -> list[list[str]]:
    """Group DICOM files into series, each ordered along its slice normal.

    The position is ``ImagePositionPatient`` projected on the cross product of the row and
    column directions of ``ImageOrientationPatient`` (PS3.3, C.7.6.2.1.1), ascending: from feet
    to head for a supine axial stack. If a file of the series has no position, the whole
    series is ordered by ``InstanceNumber``, and then by the given order. A file whose
    header cannot be read is a separate series.

    Parameters
    ----------
    paths
        Existing files, in natural order of their names.
    """
    groups: dict[tuple[object, ...], list[SlicePlace]] = defaultdict(list)
    for path in paths:
        place = read_place(path)
        groups[place.group].append(place)
    return [[place.path for place in _ordered(places)] for places in groups.values()]


def _ordered(places: Sequence[SlicePlace]) -> list[SlicePlace]:
    by_position = all(place.position_mm is not None for place in places)

    def key(place: SlicePlace) -> tuple[float, float]:
        position = place.position_mm if by_position and place.position_mm is not None else 0.0
        number = place.instance_number
        return position, float("inf") if number is None else number

    return sorted(places, key=key)


def read_place(path: str) -> SlicePlace:
    """Return the position of a file in its series from a few header elements, also for invalid files."""
    silence_python()
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
        uid = str(header.get("SeriesInstanceUID") or "")
        axes = _floats(header, "ImageOrientationPatient", 6)
        origin_mm = _floats(header, "ImagePositionPatient", 3)
        number = header.get("InstanceNumber")
        instance_number = None if number is None else int(number)
    except (OSError, InvalidDicomError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
        return SlicePlace(path, ("alone", path), None, None)
    position_mm = None
    if axes is not None and origin_mm is not None:
        position_mm = float(np.dot(np.cross(axes[:3], axes[3:]), origin_mm))
    orientation = () if axes is None else tuple(np.round(axes, _ORIENTATION_DECIMALS) + 0.0)
    if uid:
        group: tuple[object, ...] = ("series", uid, *orientation)
    elif position_mm is not None:
        group = ("stack", *(str(header.get(tag)) for tag in _STACK_TAGS), *orientation)
    else:
        group = ("alone", path)
    return SlicePlace(path, group, position_mm, instance_number)


def _floats(
    header: pydicom.Dataset, keyword: str, count: int
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    value = header.get(keyword)
    if value is None or isinstance(value, (str, bytes)) or len(value) != count:
        return None
    numbers = np.array([float(number) for number in value])
    return numbers if np.isfinite(numbers).all() else None
