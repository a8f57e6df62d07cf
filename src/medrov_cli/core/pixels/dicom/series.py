"""Grouping of the DICOM files of a folder to series, ordered along the body."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.dicom.elements import number, numbers
from medrov_cli.core.pixels.dicom.encoding import read_header
from medrov_cli.core.pixels.dicom.pixel_element import modality_tag
from medrov_cli.core.pixels.dicom.slice_geometry import placed_slice
from medrov_cli.core.pixels.dicom.slide_class import SLIDE_CLASS, shows_label
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.source import open_for_header
from medrov_cli.core.records.slice_plane import PlacedSlice

_STACK_TAGS = ["FrameOfReferenceUID", "SeriesNumber", "Modality", "Rows", "Columns"]
"""Common attributes of the slices of one stack, used if de-identification removed the series UID."""

_LAST_GROUP = 0x0048
"""Group of the size of a slide, the last that is needed: functional groups and private elements follow."""

_ORIENTATION_DECIMALS = 2
"""Number of decimals to which direction cosines of one orientation agree (about half a degree)."""

_NO_IMAGE_CLASSES = re.compile(
    r"1\.2\.840\.10008\.(?:1\.3\.10"
    r"|5\.1\.4\.1\.1\.(?:9|11|66|67|78|79|80|88|104|200|481)(?:\..*)?"
    r"|5\.1\.4\.(?:34|38|39|43|44|45)\..*)"
)
"""Storage classes of objects that are no images: presentation states, reports, waveforms, documents,
raw data, registrations, segmentations, radiotherapy, protocols, and DICOMDIR (PS3.4, B.5)."""

_ALONE = "alone"
"""First part of the group of a file that belongs to no series."""

_RADIOTHERAPY_IMAGE = "1.2.840.10008.5.1.4.1.1.481.1"

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
        Key of the stack: series UID and rounded orientation.
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
    position_mm: float | None = None
    instance_number: float | None = None
    instance_uid: str = ""
    skip_reason: str = ""
    placed: PlacedSlice | None = None
    slide_width: float = 0

    @property
    def key(self) -> tuple[object, ...]:
        """Series, position and number, which copies of an instance share."""
        group = () if self.group[0] == _ALONE else self.group
        return group, self.position_mm, self.instance_number


def group_series(places: Sequence[SlicePlace]) -> list[list[SlicePlace]]:
    """Group DICOM files into series, each ordered along its slice normal.

    The position is ``ImagePositionPatient`` projected on the cross product of the row and
    column directions of ``ImageOrientationPatient`` (PS3.3, C.7.6.2.1.1), ascending: from feet
    to head for a supine axial stack. If a file of the series has no position, the whole
    series is ordered by ``InstanceNumber``, and then by the given order. A file whose
    header cannot be read is a separate series.

    Parameters
    ----------
    places
        Of existing files, in natural order of their names; see `read_place`.
    """
    groups: dict[tuple[object, ...], list[SlicePlace]] = defaultdict(list)
    for place in places:
        groups[place.group].append(place)
    return [_ordered(group) for group in groups.values()]


def _ordered(places: Sequence[SlicePlace]) -> list[SlicePlace]:
    by_position = all(place.position_mm is not None for place in places)

    def key(place: SlicePlace) -> tuple[float, float]:
        position = place.position_mm if by_position and place.position_mm is not None else 0.0
        found = place.instance_number
        return position, float("inf") if found is None else found

    return sorted(places, key=key)


def read_place(path: str, limits: InputLimits) -> SlicePlace:
    """Return the position of a file in its series from a few header elements, also for invalid files."""
    silence_python()
    alone = SlicePlace(path, (_ALONE, path))
    try:
        with open_for_header(path, limits) as file:
            return _place(path, read_header(file, limits, last_group=_LAST_GROUP).dataset)
    except (OSError, EOFError, MedrovError):
        return alone
    except Exception:  # noqa: BLE001 - broken headers raise any exception; reading the file reports it
        return alone


def _place(path: str, header: pydicom.Dataset) -> SlicePlace:
    axes = numbers(header, "ImageOrientationPatient")
    origin_mm = numbers(header, "ImagePositionPatient")
    position_mm = None
    if len(axes) == 6 and len(origin_mm) == 3:
        position_mm = float(np.dot(np.cross(axes[:3], axes[3:]), origin_mm))
    orientation = tuple(np.round(axes, _ORIENTATION_DECIMALS) + 0.0) if len(axes) == 6 else ()
    uid = str(header.get("SeriesInstanceUID") or "")
    if uid:
        group: tuple[object, ...] = ("series", uid, *orientation)
    elif position_mm is not None:
        group = ("stack", *(str(header.get(tag)) for tag in _STACK_TAGS), *orientation)
    else:
        group = (_ALONE, path)
    instance_uid = str(header.get("SOPInstanceUID") or "").strip(" \0")
    number_in_series = number(header, "InstanceNumber")
    width = 0.0
    if header.get("SOPClassUID") == SLIDE_CLASS:
        width = number(header, "TotalPixelMatrixColumns") or 0.0
    return SlicePlace(
        path,
        group,
        position_mm,
        number_in_series,
        instance_uid,
        _skip_reason(header),
        placed_slice(header, 0),
        slide_width=width,
    )


def _skip_reason(header: pydicom.Dataset) -> str:
    """Return why an object is no image, by its storage class, else by its modality."""
    sop_class = str(header.get("SOPClassUID") or "").strip(" \0")
    modality = modality_tag(header)
    if sop_class == _RADIOTHERAPY_IMAGE:
        return ""
    if sop_class == SLIDE_CLASS and shows_label(header):
        return "a label or overview image of a slide, which can show names"
    if _NO_IMAGE_CLASSES.fullmatch(sop_class):
        what = f"a DICOM object of modality {modality}" if modality else "a DICOM object"
        return f"{what} that is no image"
    is_known = modality in _NO_IMAGE_MODALITIES and (modality in ("SEG", "RTDOSE") or "Rows" not in header)
    return f"a DICOM object of modality {modality} that is no image" if is_known else ""
