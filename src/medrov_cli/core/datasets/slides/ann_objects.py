"""Objects of DICOM Microscopy Bulk Simple Annotations (PS3.3, A.87 and C.37.1), by pydicom."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.datasets.slides.objects import ObjectList, Rings, SlideObjects
from medrov_cli.core.pixels.dicom.elements import number, numbers
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.records.boxes import FloatArray

ANN_CLASS = "1.2.840.10008.5.1.4.1.1.91.1"
"""Microscopy Bulk Simple Annotations Storage (PS3.4, B.5)."""

_FOUR_POINTS = ("RECTANGLE", "ELLIPSE")


@dataclass(frozen=True, slots=True)
class SlidePlace:
    """Relation of coordinates to the pixels of the finest level of a slide.

    Attributes
    ----------
    scale_xy
        Pixels of the finest level per pixel of the instance that the coordinates refer to.
    header
        Header of the finest level, for coordinates in the frame of reference.
    """

    scale_xy: tuple[float, float]
    header: pydicom.Dataset

    def pixels(self, points: FloatArray) -> FloatArray:
        """Return points, (n, 2) of the total pixel matrix or (n, 3) in mm, as columns and rows, (n, 2).

        Positions in mm are those of the centres of pixels (PS3.3, C.8.12.14), columns and rows begin at the
        corner of the first pixel.

        Raises
        ------
        MedrovError
            ``bad_metadata`` for a slide without a place in the frame of reference.
        """
        if points.shape[1] == 2:
            return points * self.scale_xy
        origins = self.header.get("TotalPixelMatrixOriginSequence") or [pydicom.Dataset()]
        offsets = [number(origins[0], f"{axis}OffsetInSlideCoordinateSystem") for axis in "XY"]
        origin_mm = [value for value in offsets if value is not None]
        directions = numbers(self.header, "ImageOrientationSlide")
        spacing_mm = numbers(functional_group(self.header, "PixelMeasuresSequence", 0), "PixelSpacing")
        if len(origin_mm) != 2 or len(directions) != 6 or len(spacing_mm) != 2:
            raise bad_metadata("the slide has no place in its frame of reference")
        along_rows, along_columns = np.array(directions[:2]), np.array(directions[3:5])
        steps = np.column_stack((along_rows * spacing_mm[1], along_columns * spacing_mm[0]))
        if abs(np.linalg.det(steps)) < 1e-12:
            raise bad_metadata("the directions of the slide are no plane")
        return np.asarray((points[:, :2] - origin_mm) @ np.linalg.inv(steps).T + 0.5)


def read_ann_objects(path: Path, place: SlidePlace, region_names: Collection[str] = ()) -> SlideObjects:
    """Return the rectangles, ellipses and polygons of an object; the label of a group is the class.

    Parameters
    ----------
    path
        The file.
    place
        Relation of its coordinates to the slide.
    region_names
        Classes of regions, in lower case.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    silence_python()
    found = ObjectList(region_names)
    without_area = False
    try:
        dataset = pydicom.dcmread(path)
        dimension = 3 if str(dataset.get("AnnotationCoordinateType")) == "3D" else 2
        if dataset.get("PixelOriginInterpretation", "VOLUME") == "FRAME":
            raise bad_metadata("the coordinates are those of a single tile")
        for group in dataset.get("AnnotationGroupSequence") or ():
            if str(group.get("GraphicType")) not in (*_FOUR_POINTS, "POLYGON"):
                without_area = True
                continue
            _add_group(found, group, place, dimension)
    except MedrovError:
        raise
    except Exception:  # noqa: BLE001 - damaged objects raise any exception
        raise bad_metadata("the annotations are damaged or incomplete") from None
    return found.finish(("points and lines were left out",) if without_area else ())


def _add_group(found: ObjectList, group: pydicom.Dataset, place: SlidePlace, dimension: int) -> None:
    """Add the objects of a group."""
    name = str(group.get("AnnotationGroupLabel") or "").strip()
    if not name:
        name = str(group.AnnotationPropertyTypeCodeSequence[0].get("CodeMeaning") or "").strip()
    kind = str(group.GraphicType)
    points = place.pixels(_points(group, dimension))
    if not np.isfinite(points).all():
        raise bad_metadata("a coordinate is no number")
    count = int(group.NumberOfAnnotations)
    if kind in _FOUR_POINTS:
        corners = points.reshape(count, 4, 2)
        if kind == "ELLIPSE":
            corners = _ellipse_corners(corners)
        starts = np.arange(count + 1) * 4
        points = corners.reshape(-1, 2)
    else:
        size = 2 if "CommonZCoordinateValue" in group else dimension
        starts = (np.frombuffer(group.LongPrimitivePointIndexList, "<u4").astype(np.int64) - 1) // size
        starts = np.append(starts, len(points))
        if len(starts) != count + 1 or starts[0] != 0 or (np.diff(starts) < 1).any():
            raise bad_metadata("the list of polygons contradicts itself")
    if found.is_region(name):
        found.regions += [_ring(points, starts, at) for at in range(count)]
    else:
        low = np.minimum.reduceat(points, starts[:-1], axis=0)
        found.add(name, np.hstack((low, np.maximum.reduceat(points, starts[:-1], axis=0))))


def _points(group: pydicom.Dataset, dimension: int) -> FloatArray:
    """Return all coordinates of a group, (n, 2) or (n, 3)."""
    if "DoublePointCoordinatesData" in group:
        values = np.frombuffer(group.DoublePointCoordinatesData, "<f8")
    else:
        values = np.frombuffer(group.PointCoordinatesData, "<f4").astype(np.float64)
    if dimension == 3 and "CommonZCoordinateValue" in group:
        flat = values.reshape(-1, 2)
        return np.column_stack((flat, np.full(len(flat), float(group.CommonZCoordinateValue))))
    return values.reshape(-1, dimension)


def _ellipse_corners(ends: FloatArray) -> FloatArray:
    """Return the outer box of ellipses, (n, 4, 2), from the ends of their axes."""
    center = (ends[:, 0] + ends[:, 1]) / 2
    half = np.hypot(ends[:, 1] - ends[:, 0], ends[:, 3] - ends[:, 2]) / 2
    low, high = center - half, center + half
    return np.stack(
        (low, np.stack((high[:, 0], low[:, 1]), 1), high, np.stack((low[:, 0], high[:, 1]), 1)), axis=1
    )


def _ring(points: FloatArray, starts: np.ndarray, at: int) -> Rings:
    return (points[starts[at] : starts[at + 1]].copy(),)
