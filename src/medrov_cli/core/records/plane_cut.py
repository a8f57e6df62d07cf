"""Slices of a volume in another plane than that of its own slices: axes, sizes, and places of their boxes.

A volume is an array of voxels, (slices, rows, columns), whose axes have a direction in the patient and a
spacing each. A cut has pixels at the finest of the three spacings, and its slices are as far from each other
as the coarsest: an isotropic resampling, of which no more slices are read than the volume has information.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.slice_plane import SlicePlane, Vector
from medrov_cli.core.settings.choices import Axis

_LEFT, _BACK, _HEAD = 0, 1, 2
_LAYOUTS: dict[Axis, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "axial": ((_HEAD, 1), (_BACK, 1), (_LEFT, 1)),
    "coronal": ((_BACK, -1), (_HEAD, -1), (_LEFT, 1)),
    "sagittal": ((_LEFT, -1), (_HEAD, -1), (_BACK, 1)),
}
"""Axis of the patient (LPS) and sense in which slices, rows and columns of each plane rise; see
:mod:`medrov_cli.core.pixels.volumes.slices`."""


@dataclass(frozen=True, slots=True, eq=False)
class VoxelGrid:
    """Regular voxels of a volume.

    Attributes
    ----------
    directions
        float, (3, 3): unit vectors in LPS in which columns, rows and slices rise.
    corner_mm
        float, (3,): outer corner of the first voxel, LPS.
    spacing_mm
        Distances between columns, rows and slices.
    shape
        Numbers of columns, rows and slices.
    """

    directions: FloatArray
    corner_mm: FloatArray
    spacing_mm: Vector
    shape: tuple[int, int, int]

    def to_patient(self, points: FloatArray) -> FloatArray:
        """Return points in LPS mm, (n, 3), given columns, rows and slices from the outer corner."""
        return np.asarray(self.corner_mm + points * np.array(self.spacing_mm) @ self.directions)


@dataclass(frozen=True, slots=True, eq=False)
class PlaneCut:
    """Slices of a volume in one plane.

    Attributes
    ----------
    grid
        The volume.
    plane
        Plane of the slices.
    axes
        Axes of the volume (0: columns, 1: rows, 2: slices) of slices, rows and columns of the cut.
    backwards
        Whether each of them is reversed.
    count
        Number of slices.
    size_hw
        Rows and columns of each.
    """

    grid: VoxelGrid
    plane: Axis
    axes: tuple[int, int, int]
    backwards: tuple[bool, bool, bool]
    count: int
    size_hw: tuple[int, int]

    @property
    def steps(self) -> FloatArray:
        """Return voxels of the volume per slice, row and column of the cut, (3,)."""
        sizes = np.array([self.count, *self.size_hw])
        return np.asarray(np.array([self.grid.shape[axis] for axis in self.axes]) / sizes)

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Return (row spacing, column spacing)."""
        row, column = (
            float(step * self.grid.spacing_mm[axis])
            for step, axis in zip(self.steps[1:], self.axes[1:], strict=True)
        )
        return row, column

    def position(self, number: int) -> float:
        """Return the centre of a slice, in voxels from the outer corner along the axis of the slices."""
        along = (number + 0.5) * float(self.steps[0])
        return self.grid.shape[self.axes[0]] - along if self.backwards[0] else along

    def planes(self) -> tuple[SlicePlane, ...]:
        """Return the place of each slice."""
        signs = [-1 if is_reversed else 1 for is_reversed in self.backwards]
        down, right = (_vector(signs[part] * self.grid.directions[self.axes[part]]) for part in (1, 2))
        centers = np.zeros((self.count, 3))
        for number in range(self.count):
            centers[number, self.axes[0]] = self.position(number)
        for part in (1, 2):
            axis, half = self.axes[part], float(self.steps[part]) / 2
            centers[:, axis] = self.grid.shape[axis] - half if self.backwards[part] else half
        spacing = self.spacing_mm
        return tuple(SlicePlane(_vector(at), right, down, spacing) for at in self.grid.to_patient(centers))

    def to_voxels(self, box: FloatArray) -> FloatArray:
        """Return a box of the cut, (6,): columns, rows, slices, in columns, rows and slices of the volume."""
        voxels = np.zeros((2, 3))
        for part, own in zip((0, 1, 2), (2, 1, 0), strict=True):  # a box has columns first, a cut slices
            axis, step = self.axes[part], float(self.steps[part])
            ends = box[[own, own + 3]] * step
            voxels[:, axis] = self.grid.shape[axis] - ends[::-1] if self.backwards[part] else ends
        return voxels.reshape(-1)


def nearest_plane(directions: FloatArray) -> Axis:
    """Return the plane that is closest to the slices of a volume; see :class:`VoxelGrid`."""
    return next(plane for plane in _LAYOUTS if _axes(directions, plane)[0][0] == 2)


def cut_in_plane(grid: VoxelGrid, plane: Axis) -> PlaneCut:
    """Return the slices of a volume in a plane."""
    axes = _axes(grid.directions, plane)
    slices, rows, columns = (axis for axis, _ in axes)
    size_mm = [count * spacing for count, spacing in zip(grid.shape, grid.spacing_mm, strict=True)]
    finest, coarsest = min(grid.spacing_mm), max(grid.spacing_mm)
    return PlaneCut(
        grid,
        plane,
        (slices, rows, columns),
        (axes[0][1], axes[1][1], axes[2][1]),
        max(1, round(size_mm[slices] / coarsest)),
        (max(1, round(size_mm[rows] / finest)), max(1, round(size_mm[columns] / finest))),
    )


def _axes(cosines: FloatArray, plane: Axis) -> tuple[tuple[int, bool], ...]:
    """Return the axis of the volume and whether it is reversed, for slices, rows and columns of a plane."""
    best = max(permutations(range(3)), key=lambda order: sum(abs(cosines[order[k], k]) for k in range(3)))
    return tuple(
        (best[patient], bool(sense * cosines[best[patient], patient] < 0))
        for patient, sense in _LAYOUTS[plane]
    )


def _vector(values: FloatArray) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)
