"""Grouping of the DICOM files of a folder to series, ordered along the body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.dicom.elements import number, numbers
from medrov_cli.core.pixels.dicom.encoding import read_header
from medrov_cli.core.pixels.dicom.pixel_element import is_image_class, modality_tag, storage_class
from medrov_cli.core.pixels.dicom.slice_geometry import placed_slice
from medrov_cli.core.pixels.dicom.slide_class import SLIDE_CLASS, shows_label
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.source import open_for_header
from medrov_cli.core.records.slice_plane import PlacedSlice

_STACK_TAGS = ["FrameOfReferenceUID", "SeriesNumber", "Modality", "Rows", "Columns"]
"""Common attributes of the slices of one stack, used if de-identification removed the series UID."""

_LAST_GROUP = 0x0048
"""Group of the size of a slide, the last that is needed: functional groups and private elements follow."""

_SAME_ORIENTATION = 0.99985
"""Least cosine between the directions of two slices of one orientation: one degree, above their rounding."""

_IMAGE_KEYWORDS = ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel", "PhotometricInterpretation")
"""Elements of which a DICOM image has at least one (PS3.3, C.7.6.3), and no other object."""

_ALONE = "alone"
"""First part of the group of a file that belongs to no series."""

_NO_IMAGE_MODALITIES = frozenset(
    {"SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTRECORD", "RTDOSE", "DOC", "ECG", "REG", "FID", "PLAN", "HD"}
    | {"EPS", "SEG", "AU", "EEG", "EMG", "RESP", "STAIN", "ASMT", "RWV", "OPV", "AR"}
)


@dataclass(frozen=True, slots=True)
class SlicePlace:
    """Position of one file in its series.

    Attributes
    ----------
    path
        The file.
    group
        Key of the series: its UID, or attributes that its slices share.
    axes
        Direction cosines of rows and columns; empty if they are not in the header.
    origin_mm
        Centre of the first pixel; empty if it is not in the header.
    position_mm
        Position along the normal of the slice; null if it is not in the header.
    instance_number
        Instance number; null if it is not in the header.
    instance_uid
        SOP Instance UID; empty if it is not in the header.
    skip_reason
        Why the file is no image of its study; empty for an image, and for a file that cannot be read.
    placed
        Place of the slice in the patient; null for a file that cannot be read.
    slide_width
        Columns of the whole slide of which the file is a part; 0 for other images.
    """

    path: str
    group: tuple[object, ...]
    axes: tuple[float, ...] = ()
    origin_mm: tuple[float, ...] = ()
    position_mm: float | None = None
    instance_number: float | None = None
    instance_uid: str = ""
    skip_reason: str = ""
    placed: PlacedSlice | None = None
    slide_width: float = 0

    @property
    def key(self) -> tuple[object, ...]:
        """Series, orientation, position and number, which copies of an instance share."""
        group = () if self.group[0] == _ALONE else (*self.group, *self.axes)
        return group, self.position_mm, self.instance_number

    def is_parallel_to(self, other: SlicePlace) -> bool:
        """Return whether two slices have one orientation, or none."""
        if not self.axes or not other.axes:
            return self.axes == other.axes
        pairs = np.reshape(self.axes, (2, 3)) * np.reshape(other.axes, (2, 3))
        return bool((pairs.sum(axis=1) >= _SAME_ORIENTATION).all())


def group_series(places: Sequence[SlicePlace]) -> list[list[SlicePlace]]:
    """Group DICOM files into series, each ordered along its slice normal.

    Slices of one series with several orientations are several stacks. The position is
    ``ImagePositionPatient`` projected on the cross product of the row and column directions of
    ``ImageOrientationPatient`` (PS3.3, C.7.6.2.1.1), ascending: from feet to head for a supine axial stack.
    If a file of the stack has no position, the whole stack is ordered by ``InstanceNumber``, and then by the
    given order. A file whose header cannot be read is a separate series.

    Parameters
    ----------
    places
        Of existing files, in natural order of their names; see `read_place`.
    """
    groups: dict[tuple[object, ...], list[list[SlicePlace]]] = defaultdict(list)
    for place in places:
        stacks = groups[place.group]
        stack = next((stack for stack in stacks if place.is_parallel_to(stack[0])), None)
        if stack is None:
            stacks.append([place])
        else:
            stack.append(place)
    return [_ordered(stack) for stacks in groups.values() for stack in stacks]


def _ordered(places: Sequence[SlicePlace]) -> list[SlicePlace]:
    by_position = all(place.axes and place.origin_mm for place in places)
    normal = np.cross(places[0].axes[:3], places[0].axes[3:]) if by_position else np.zeros(3)

    def key(place: SlicePlace) -> tuple[float, float]:
        position = float(normal @ place.origin_mm) if by_position else 0.0
        found = place.instance_number
        return position, float("inf") if found is None else found

    return sorted(places, key=key)


def read_place(path: str, limits: InputLimits) -> SlicePlace:
    """Return the position of a file in its series from a few header elements, also for invalid files."""
    silence_python()
    alone = SlicePlace(path, (_ALONE, path))
    try:
        with open_for_header(path, limits) as file:
            encoding = read_header(file, limits, last_group=_LAST_GROUP)
            return _place(path, encoding.dataset, is_cut=encoding.is_cut)
    except (OSError, EOFError, MedrovError):
        return alone
    except Exception:  # noqa: BLE001 - broken headers raise any exception; reading the file reports it
        return alone


def _place(path: str, header: pydicom.Dataset, *, is_cut: bool) -> SlicePlace:
    axes = tuple(numbers(header, "ImageOrientationPatient"))
    origin_mm = tuple(numbers(header, "ImagePositionPatient"))
    axes, origin_mm = axes if len(axes) == 6 else (), origin_mm if len(origin_mm) == 3 else ()
    position_mm = float(np.dot(np.cross(axes[:3], axes[3:]), origin_mm)) if axes and origin_mm else None
    uid = str(header.get("SeriesInstanceUID") or "")
    if uid:
        group: tuple[object, ...] = ("series", uid)
    elif position_mm is not None:
        group = ("stack", *(str(header.get(tag)) for tag in _STACK_TAGS))
    else:
        group = (_ALONE, path)
    instance_uid = str(header.get("SOPInstanceUID") or "").strip(" \0")
    number_in_series = number(header, "InstanceNumber")
    width = 0.0
    if storage_class(header) == SLIDE_CLASS:
        width = number(header, "TotalPixelMatrixColumns") or 0.0
    return SlicePlace(
        path,
        group,
        axes,
        origin_mm,
        position_mm,
        number_in_series,
        instance_uid,
        _skip_reason(header, is_cut=is_cut),
        placed_slice(header, 0),
        slide_width=width,
    )


def _skip_reason(header: pydicom.Dataset, *, is_cut: bool) -> str:
    """Return why an object is no image, by its storage class, its modality, or what it lacks."""
    sop_class = storage_class(header)
    modality = modality_tag(header)
    if sop_class == SLIDE_CLASS and shows_label(header):
        return "a label or overview image of a slide, which can show names"
    what = f"a DICOM object of modality {modality}" if modality else "a DICOM object"
    is_known = modality in _NO_IMAGE_MODALITIES and (modality in ("SEG", "RTDOSE") or "Rows" not in header)
    lacks_all = bool(sop_class) and not is_cut and not any(keyword in header for keyword in _IMAGE_KEYWORDS)
    is_image = is_image_class(sop_class)
    if is_image is False or (is_image is None and (is_known or lacks_all)):
        return f"{what} that is no image"
    return ""
