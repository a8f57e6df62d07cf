"""Plane of a slice in the patient: from pixels to millimetres in LPS coordinates.

LPS is the coordinate system of DICOM (PS3.3, C.7.6.2.1.1): x rises to the patient's left, y to the back
(posterior), z to the head (superior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.records.boxes import FloatArray

Vector = tuple[float, float, float]

HALF_PIXEL = 0.5
"""Boxes count from the outer corner of the first pixel; a slice has the position of its centre."""


@dataclass(frozen=True, slots=True)
class SlicePlane:
    """Position, orientation and spacing of a slice.

    Attributes
    ----------
    origin_mm
        Centre of the first (top-left) pixel, LPS.
    right
        Unit vector along a row: direction in which the column number rises.
    down
        Unit vector along a column: direction in which the row number rises. It is perpendicular to ``right``;
        of NIfTI within half a degree.
    spacing_mm
        (row spacing, column spacing): the distance in mm between rows, then between columns.
    """

    origin_mm: Vector
    right: Vector
    down: Vector
    spacing_mm: tuple[float, float]

    @property
    def normal(self) -> Vector:
        """Return the unit vector along ``right`` x ``down``."""
        normal = np.cross(self.right, self.down)
        x, y, z = (normal / np.linalg.norm(normal)).tolist()
        return (x, y, z)

    def to_patient(self, points_xy: FloatArray) -> FloatArray:
        """Return points in LPS mm, (n, 3).

        Parameters
        ----------
        points_xy
            float, (n, 2): column and row in source pixels, the origin is the outer corner of the first pixel.
        """
        between_rows_mm, between_columns_mm = self.spacing_mm
        points = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2) - HALF_PIXEL
        along_row = points[:, :1] * between_columns_mm * np.array(self.right)
        along_column = points[:, 1:] * between_rows_mm * np.array(self.down)
        return np.asarray(np.array(self.origin_mm) + along_row + along_column)

    def to_pixels(self, points_mm: FloatArray) -> FloatArray:
        """Return the orthogonal projection of points in LPS mm, (n, 3), as column and row, (n, 2)."""
        between_rows_mm, between_columns_mm = self.spacing_mm
        offsets = np.asarray(points_mm, dtype=np.float64).reshape(-1, 3) - np.array(self.origin_mm)
        columns = offsets @ np.array(self.right) / between_columns_mm
        rows = offsets @ np.array(self.down) / between_rows_mm
        return np.stack((columns, rows), axis=1) + HALF_PIXEL


@dataclass(frozen=True, slots=True)
class PlacedSlice:
    """Place of one frame, as its file states it.

    Attributes
    ----------
    plane
        Position, orientation and spacing; null if one of them is not in the file.
    size_hw
        Rows and columns; null if unknown.
    number
        Instance number, or another number of the file that orders slices at one position; null if unknown.
    is_localizer
        Whether the image is a survey image on which slices are planned.
    frame_of_reference_uid
        Of DICOM; empty if it is not in the header.
    """

    plane: SlicePlane | None = None
    size_hw: tuple[int, int] | None = None
    number: float | None = None
    is_localizer: bool = False
    frame_of_reference_uid: str = ""
