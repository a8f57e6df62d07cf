"""Read DICOM segmentations and the images that they were made on.

Binary ones (packed bits), fractional ones (at least half counts) and label maps. Each segment is a class
by its label. A frame belongs to the image that it refers to, if it lies in that image's plane; else to the
image in whose plane it lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.protocol import Reader, Reading
from medrov_cli.core.datasets.readers.shared.dicom_folder import DicomHeader, Stack
from medrov_cli.core.datasets.readers.shared.dicom_marked import Form, Marked, read_marked
from medrov_cli.core.datasets.readers.shared.dicom_planes import BoolArray, Plane, moved_mask, plane_of
from medrov_cli.core.pixels.dicom.decode import decoded_frames
from medrov_cli.core.pixels.dicom.elements import numbers
from medrov_cli.core.pixels.dicom.file import open_dicom
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.settings.data_convert import ReaderSettings

_SOP_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
"""Segmentation Storage, Label Map Segmentation Storage."""

_HALF = 0.5
"""Share or probability from which a pixel of a fractional segmentation belongs to the segment."""


def read(config: ReaderSettings) -> Reading:
    """List one unit a series that segmentations refer to; see `dicom_marked.read_marked`."""
    return read_marked(config, Form("segmentation", _SOP_CLASSES, _marks))


def _marks(file: DicomHeader, stack: Stack) -> Iterator[Marked]:
    """Yield the segments of each frame that are not empty."""
    silence_python()
    with file.path.open("rb") as raw:
        opened = open_dicom(raw, InputLimits())
        header = opened.header
        names = _names(header)
        for frame, stored in enumerate(frame.values for frame in decoded_frames(opened)):
            masks = [(number, mask) for number, mask in _masks(header, frame, stored) if mask.any()]
            if not masks:
                continue
            plane = plane_of(header, frame)
            rows = _slices(header, frame, plane, stack)
            for number, mask in masks:
                if number not in names:
                    raise bad_metadata("a frame references a segment that is not in the segment sequence")
                if not rows:
                    yield Marked(None, names[number], None)
                for row in rows:
                    yield Marked(row, names[number], _on_slice(mask, plane, stack, row))


def _names(header: pydicom.Dataset) -> Mapping[int, str]:
    """Return segments' names by number: (0062,0005) Segment Label, else the meaning of the type's code."""
    names = {}
    for item in header.get("SegmentSequence") or ():
        number = numbers(item, "SegmentNumber")
        types = item.get("SegmentedPropertyTypeCodeSequence") or ()
        meanings = [str(code.get("CodeMeaning") or "").strip() for code in types[:1]]
        texts = (str(item.get("SegmentLabel") or "").strip(), *meanings)
        if len(number) == 1:
            names[int(number[0])] = next((text for text in texts if text), f"segment {int(number[0])}")
    if not names:
        raise bad_metadata("(0062,0002) Segment Sequence is missing or empty")
    return names


def _masks(header: pydicom.Dataset, frame: int, stored: Values) -> list[tuple[int, BoolArray]]:
    """Return segment numbers and masks of a frame."""
    if stored.ndim != 2:
        raise bad_metadata("a segmentation has colour pixels")
    kind = str(header.get("SegmentationType") or "BINARY").strip()
    if kind == "LABELMAP":
        background = {int(number) for number in numbers(header, "PixelPaddingValue")} or {0}
        return [(number, stored == number) for number in _values(stored) if number not in background]
    number = _segment_of(header, frame)
    if kind == "FRACTIONAL":
        most = (numbers(header, "MaximumFractionalValue") or [255.0])[0]
        return [(number, stored >= _HALF * most)]
    if kind == "BINARY":
        return [(number, stored != 0)]
    raise MedrovError(
        ErrorCode.UNSUPPORTED_FORMAT,
        "The segmentation type is not BINARY, FRACTIONAL or LABELMAP.",
        "Export it as a binary segmentation.",
    )


def _values(stored: Values) -> list[int]:
    values: list[Any] = np.unique(stored).tolist()
    return [int(value) for value in values]


def _segment_of(header: pydicom.Dataset, frame: int) -> int:
    """Return the number of the segment that a frame shows."""
    for group in _groups(header, frame):
        for item in group.get("SegmentIdentificationSequence") or ():
            found = numbers(item, "ReferencedSegmentNumber")
            if found:
                return int(found[0])
    raise bad_metadata("a frame has no segment number")


def _groups(header: pydicom.Dataset, frame: int) -> tuple[pydicom.Dataset, ...]:
    """Return the functional groups of a frame: its own, then those of all."""
    own = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared = header.get("SharedFunctionalGroupsSequence") or ()
    return (*own[frame : frame + 1], *shared[:1])


def _slices(header: pydicom.Dataset, frame: int, plane: Plane | None, stack: Stack) -> list[int]:
    """Return the slices that a frame lies on."""
    sources: list[pydicom.Dataset] = []
    for group in _groups(header, frame):
        for derivation in group.get("DerivationImageSequence") or ():
            sources += derivation.get("SourceImageSequence") or ()
    named = stack.referenced(sources)
    if plane is None or not stack.is_placed:
        return named
    # Made on several images, as on all of a resampled volume: its place says which one it lies on.
    return stack.through(plane.corners_mm, named) or stack.through(plane.corners_mm)


def _on_slice(mask: BoolArray, plane: Plane | None, stack: Stack, row: int) -> BoolArray:
    target = stack.slices[row]
    if plane is not None and target.plane is not None:
        return moved_mask(mask, plane, target.plane)
    if mask.shape != target.size_hw:
        raise bad_metadata(
            f"a segmentation of {mask.shape[1]} x {mask.shape[0]} pixels refers to an image of "
            f"{target.size_hw[1]} x {target.size_hw[0]}, and has no position"
        )
    return mask


READER: Reader = read
