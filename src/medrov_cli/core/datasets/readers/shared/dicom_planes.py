"""Where the pixels of a DICOM slice lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pydicom

from medrov_cli.core.pixels.dicom.elements import numbers
from medrov_cli.core.pixels.dicom.header import functional_group

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_DIRECTION_SLACK = 0.01
"""Direction cosines may be off by this much from unit length and a right angle: they are rounded decimals."""

_SAME_GRID_PX = 0.1
"""Two grids whose corners are closer than this are the same: nearest pixels are the same ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The grid of a slice (PS3.3, C.7.6.2.1.1).

    Attributes
    ----------
    origin_mm
        (3,), centre of the first pixel in patient coordinates (to the left, to the back, to the head).
    along_row, along_column
        (3,), unit vectors: where columns, and where rows, count up.
    spacing_mm
        Between rows, between columns.
    size_hw
        Rows, columns.
    """

    origin_mm: FloatArray
    along_row: FloatArray
    along_column: FloatArray
    spacing_mm: tuple[float, float]
    size_hw: tuple[int, int]

    @property
    def normal(self) -> FloatArray:
        """Unit vector across the slice."""
        return np.cross(self.along_row, self.along_column)

    @property
    def corners_mm(self) -> FloatArray:
        """Centres of the first, the last and the other two corner pixels, (4, 3)."""
        last_row, last_column = self.size_hw[0] - 1, self.size_hw[1] - 1
        return self.points_mm(np.array([(0, 0), (last_column, 0), (0, last_row), (last_column, last_row)]))

    def pixels(self, points_mm: FloatArray) -> FloatArray:
        """Return column and row, (n, 2), of points, (n, 3); 0, 0 is the centre of the first pixel."""
        offset = points_mm - self.origin_mm
        row_mm, column_mm = self.spacing_mm
        return np.stack([offset @ self.along_row / column_mm, offset @ self.along_column / row_mm], axis=-1)

    def points_mm(self, pixels: npt.ArrayLike) -> FloatArray:
        """Return points, (n, 3), of columns and rows, (n, 2)."""
        columns_rows = np.asarray(pixels, dtype=np.float64)
        row_mm, column_mm = self.spacing_mm
        steps = np.stack([self.along_row * column_mm, self.along_column * row_mm])
        return self.origin_mm + columns_rows @ steps


def plane_of(header: pydicom.Dataset, frame: int) -> Plane | None:
    """Return the plane of a frame, from its functional groups or the header; null where it is not said."""
    place = functional_group(header, "PlanePositionSequence", frame)
    turn = functional_group(header, "PlaneOrientationSequence", frame)
    measures = functional_group(header, "PixelMeasuresSequence", frame)
    origin = np.array(numbers(place, "ImagePositionPatient"))
    axes = np.array(numbers(turn, "ImageOrientationPatient"))
    spacing = numbers(measures, "PixelSpacing")
    size = [int(number) for keyword in ("Rows", "Columns") for number in numbers(header, keyword)]
    if (len(origin), len(axes), len(spacing), len(size)) != (3, 6, 2, 2) or min(*spacing, *size) <= 0:
        return None
    lengths = np.linalg.norm(axes.reshape(2, 3), axis=1)
    if np.abs(lengths - 1).max() > _DIRECTION_SLACK or abs(axes[:3] @ axes[3:]) > _DIRECTION_SLACK:
        return None
    row, column = axes.reshape(2, 3) / lengths[:, None]
    return Plane(origin, row, column, (spacing[0], spacing[1]), (size[0], size[1]))


def moved_mask(mask: BoolArray, source: Plane, target: Plane) -> BoolArray:
    """Return a mask on the grid of another slice in the same plane: each pixel takes the nearest one.

    Parameters
    ----------
    mask
        bool, on the grid of ``source``.
    source, target
        May differ in size, spacing, origin, and in how they are turned or mirrored within the plane.
    """
    found = source.pixels(target.corners_mm)
    if source.size_hw == target.size_hw and np.abs(found - target.pixels(target.corners_mm)).max() < (
        _SAME_GRID_PX
    ):
        return mask
    height, width = target.size_hw
    rows, columns = np.mgrid[:height, :width]
    pixels = source.pixels(target.points_mm(np.stack([columns.ravel(), rows.ravel()], axis=-1)))
    at = np.rint(pixels).astype(np.int64)
    inside = ((at >= 0) & (at < (source.size_hw[1], source.size_hw[0]))).all(axis=1)
    moved = np.zeros(height * width, dtype=np.bool_)
    moved[inside] = mask[at[inside, 1], at[inside, 0]]
    return moved.reshape(height, width)
