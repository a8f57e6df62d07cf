"""Slices of volumes in radiological convention.

Volumes are reoriented to the closest RAS+ axes without interpolation, and divided into slices:

========  ==================  ====================  =========================
plane     slices from         left of the image     top of the image
========  ==================  ====================  =========================
axial     feet to head        the patient's right   front (anterior)
coronal   back to front       the patient's right   head (superior)
sagittal  left to right       front (anterior)      head (superior)
========  ==================  ====================  =========================

Volumes of a series are consecutive: frame = volume * slices per volume + slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.pixels.budget import reserve
from medrov_cli.core.pixels.volumes.grey import Renderer
from medrov_cli.core.pixels.volumes.volume import LPS_TO_RAS, Volume, bad_header
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.records.slice_plane import SlicePlane, Vector
from medrov_cli.core.settings.choices import Axis, Modality
from medrov_cli.core.settings.window import WindowSpec

_RIGHT, _ANTERIOR, _SUPERIOR = 0, 1, 2
_PLANES: dict[Axis, tuple[int, int, int]] = {
    "axial": (_SUPERIOR, _ANTERIOR, _RIGHT),
    "coronal": (_ANTERIOR, _SUPERIOR, _RIGHT),
    "sagittal": (_RIGHT, _SUPERIOR, _ANTERIOR),
}
"""RAS axes of the slices, the rows and the columns of each plane; rows and columns start at the positive end
of their axis."""


_RENDERING_BYTES = 24
"""Bytes per pixel for windowing, three arrays of 8 bytes at most; they include the 8-bit RGB image."""

_SAMPLE_BYTES = 64 << 20
"""Bytes for the statistics of a volume."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Directions of the slices of a volume.

    Attributes
    ----------
    axes
        The file's axes of slices, rows and columns.
    backwards
        Whether each axis is reversed.
    """

    axes: tuple[int, int, int]
    backwards: tuple[bool, bool, bool]


def slices_of(volume: Volume, path: str, spec: WindowSpec, axis: Axis) -> Iterator[Frame]:
    """Yield the slices of a volume, plane by plane and volume by volume.

    All slices have one window; see `grey.Renderer`.

    Raises
    ------
    MedrovError
        ``bad_metadata`` or ``unsupported_format``.
    """
    cut = cut_of(volume, axis)
    slices = volume.voxels.shape[cut.axes[0]]
    count = slices * volume.voxels.shape[3]
    spacing = _spacing(volume, cut)
    with reserve(_slice_bytes(volume, cut)):
        render = Renderer(volume, spec)
        for index in range(count):
            number_of_volume, number = divmod(index, slices)
            yield Frame(
                pixels_rgb=render(slice_of(volume.voxels, cut, number_of_volume, number)),
                path=path,
                index=index,
                frame_count=count,
                modality=Modality.CT if render.looks_like_hu else None,
                window=render.window,
                pixel_spacing_mm=spacing,
                warnings=(*volume.warnings, *render.warnings),
                is_grey=not volume.is_color,
            )


def _slice_bytes(volume: Volume, cut: Cut) -> int:
    """Return what rendering of one slice allocates, and the sample of the window."""
    pixels: int = math.prod(volume.voxels.shape[axis] for axis in cut.axes[1:])
    channels = 3 if volume.is_color else 1
    value_bytes = int(volume.voxels.dtype.itemsize)
    return _SAMPLE_BYTES + pixels * (channels * value_bytes + _RENDERING_BYTES)


def cut_of(file: Volume, axis: Axis) -> Cut:
    """Return the directions of the slices of a volume for a plane.

    Raises
    ------
    MedrovError
        ``BAD_METADATA``: its orientation is degenerate.
    """
    try:
        from nibabel.orientations import io_orientation  # slices of DICOM series do not need nibabel

        orientation = io_orientation(file.affine)  # type: ignore[no-untyped-call]
    except (ValueError, np.linalg.LinAlgError):
        orientation = np.full((3, 2), np.nan)
    if not np.isfinite(orientation).all():
        raise bad_header(file.format, "its orientation is degenerate")
    file_axis = {int(ras): number for number, (ras, _) in enumerate(orientation)}
    slices, rows, columns = (file_axis[ras] for ras in _PLANES[axis])
    forward = [direction > 0 for _, direction in orientation]
    # Slices ascend along their RAS axis; rows and columns descend (front, head, right come first).
    return Cut((slices, rows, columns), (not forward[slices], forward[rows], forward[columns]))


def slice_of(voxels: npt.NDArray[Any], cut: Cut, volume: int, number: int) -> npt.NDArray[Any]:
    """Return one slice, (rows, columns) or (rows, columns, 3), as stored."""
    slices, rows, columns = cut.axes
    at = voxels.shape[slices] - 1 - number if cut.backwards[0] else number
    plane: npt.NDArray[Any] = np.take(voxels[:, :, :, volume], at, axis=slices)
    if rows > columns:
        plane = plane.swapaxes(0, 1)
    step = {True: -1, False: 1}
    return plane[:: step[cut.backwards[1]], :: step[cut.backwards[2]]]


def plane_of_slice(volume: Volume, cut: Cut, number: int) -> SlicePlane:
    """Return the plane of a slice of a volume in LPS mm; the affine of the file is in RAS."""
    shape = volume.voxels.shape
    first = np.zeros(4)
    first[3] = 1
    for axis, is_reversed, at in zip(cut.axes, cut.backwards, (number, 0, 0), strict=True):
        first[axis] = shape[axis] - 1 - at if is_reversed else at
    to_lps = LPS_TO_RAS @ volume.affine[:3]
    steps = [
        to_lps[:, axis] * (-1 if is_reversed else 1)
        for axis, is_reversed in zip(cut.axes, cut.backwards, strict=True)
    ]
    row_mm, column_mm = (float(np.linalg.norm(step)) for step in steps[1:])
    return SlicePlane(
        _vector(to_lps @ first),
        _vector(steps[2] / column_mm),
        _vector(steps[1] / row_mm),
        (row_mm, column_mm),
    )


def _vector(values: npt.NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _spacing(file: Volume, cut: Cut) -> tuple[float, float] | None:
    rows_mm, columns_mm = file.zooms_mm[cut.axes[1]], file.zooms_mm[cut.axes[2]]
    known = min(rows_mm, columns_mm) > 0 and math.isfinite(rows_mm + columns_mm)
    return (rows_mm, columns_mm) if known else None
