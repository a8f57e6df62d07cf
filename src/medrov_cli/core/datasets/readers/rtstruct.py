"""Read radiotherapy structure sets and the images that they were drawn on.

Each region of interest is a class by its name. Its closed contours on a slice become one mask: a pixel
belongs to it if its centre is inside an odd number of them, or on the line of one. So a contour within
another is a hole, as it is in 3D Slicer and RT-Utils, whether the hole is written as one contour more or
with a channel to the outer one. Points and open lines have no area, and are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pydicom

from medrov_cli.core.datasets.readers.protocol import Reader, Reading
from medrov_cli.core.datasets.readers.shared.dicom_folder import DicomHeader, Stack
from medrov_cli.core.datasets.readers.shared.dicom_marked import Form, Marked, read_marked
from medrov_cli.core.datasets.readers.shared.dicom_planes import BoolArray, FloatArray
from medrov_cli.core.datasets.readers.shared.polygons import polygon_mask
from medrov_cli.core.pixels.dicom.elements import numbers
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.settings.data_convert import ReaderSettings

_SOP_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.481.3"})
"""RT Structure Set Storage."""

_CLOSED = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
"""(3006,0042) Contour Geometric Type with an area (PS3.3, C.8.8.6)."""


def read(config: ReaderSettings) -> Reading:
    """List one unit a series that structure sets refer to; see `dicom_marked.read_marked`."""
    return read_marked(config, Form("structure set", _SOP_CLASSES, _marks))


def _marks(file: DicomHeader, stack: Stack) -> Iterator[Marked]:
    """Yield the regions in their order, slice by slice."""
    silence_python()
    header = pydicom.dcmread(file.path, force=True)
    if not stack.is_placed:
        raise bad_metadata("the images have no position in the patient, so that contours cannot be assigned")
    names = {
        _number(item, "ROINumber"): str(item.get("ROIName") or "").strip()
        for item in header.get("StructureSetROISequence") or ()
    }
    for region in header.get("ROIContourSequence") or ():
        number = _number(region, "ReferencedROINumber")
        name = names.get(number) or f"region {number or 0}"
        polygons: dict[int, list[FloatArray]] = defaultdict(list)
        for contour in region.get("ContourSequence") or ():
            if str(contour.get("ContourGeometricType") or "").strip() not in _CLOSED:
                continue
            points_mm = _points_mm(contour)
            rows = _slices(contour, points_mm, stack)
            if not rows:
                yield Marked(None, name, None)
            for row in rows:
                plane = stack.slices[row].plane
                if plane is not None:
                    polygons[row].append(plane.pixels(points_mm))
        for row in sorted(polygons):
            yield Marked(row, name, _mask(polygons[row], stack.slices[row].size_hw))


def _number(item: pydicom.Dataset, keyword: str) -> int | None:
    found = numbers(item, keyword)
    return int(found[0]) if found else None


def _points_mm(contour: pydicom.Dataset) -> FloatArray:
    """Return the points of a contour, (n, 3), in patient coordinates."""
    values = numbers(contour, "ContourData")
    if not values or len(values) % 3:
        raise bad_metadata("the (3006,0050) Contour Data of a contour is not a list of x, y, z")
    return np.array(values).reshape(-1, 3)


def _slices(contour: pydicom.Dataset, points_mm: FloatArray, stack: Stack) -> list[int]:
    """Return the slices that a contour is drawn on: the one that it names, if it lies there."""
    named = stack.referenced(contour.get("ContourImageSequence") or ())
    return (stack.through(points_mm, named) if named else []) or stack.through(points_mm)


def _mask(polygons: list[FloatArray], size_hw: tuple[int, int]) -> BoolArray:
    """Return the mask of a region on a slice; one between the pixels' centres is the pixel of its middle."""
    mask = polygon_mask(polygons, *size_hw)
    if not mask.any():
        for points in polygons:
            column, row = np.rint(points.mean(axis=0)).astype(int)
            if 0 <= row < size_hw[0] and 0 <= column < size_hw[1]:
                mask[row, column] = True
    return mask


READER: Reader = read
