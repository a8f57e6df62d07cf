"""Reader of NIfTI volumes as slices in radiological convention.

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
from nibabel.orientations import io_orientation

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.nifti.file import NiftiFile, bad_header, open_nifti
from medrov_cli.core.pixels.nifti.grey import Renderer
from medrov_cli.core.records.frame import Frame
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


def read_nifti(path: str, spec: WindowSpec, axis: Axis, limits: InputLimits) -> Iterator[Frame]:
    """Yield the slices of a NIfTI file, plane by plane and volume by volume.

    All slices of a file have one window; see `grey.Renderer`.

    Raises
    ------
    MedrovError
        An input code; see `file.open_nifti`.
    """
    file = open_nifti(path, limits)
    cut = cut_of(file, axis)
    render = Renderer(file, spec)
    slices = file.voxels.shape[cut.axes[0]]
    count = slices * file.voxels.shape[3]
    for index in range(count):
        volume, number = divmod(index, slices)
        yield Frame(
            pixels_rgb=render(slice_of(file.voxels, cut, volume, number)),
            path=path,
            index=index,
            frame_count=count,
            modality=Modality.CT if render.looks_like_hu else None,
            window=render.window,
            pixel_spacing_mm=_spacing(file, cut),
            warnings=(*file.warnings, *render.warnings),
        )


def cut_of(file: NiftiFile, axis: Axis) -> Cut:
    """Return the directions of the slices of a file for a plane.

    Raises
    ------
    MedrovError
        ``BAD_METADATA``: its orientation is degenerate.
    """
    try:
        orientation = io_orientation(file.affine)  # type: ignore[no-untyped-call]
    except (ValueError, np.linalg.LinAlgError):
        orientation = np.full((3, 2), np.nan)
    if not np.isfinite(orientation).all():
        raise bad_header("its orientation is degenerate")
    file_axis = {int(ras): number for number, (ras, _) in enumerate(orientation)}
    slices, rows, columns = (file_axis[ras] for ras in _PLANES[axis])
    forward = [direction > 0 for _, direction in orientation]
    # Slices ascend along their RAS axis; rows and columns descend (front, head, right come first).
    return Cut((slices, rows, columns), (not forward[slices], forward[rows], forward[columns]))


def slice_of(voxels: npt.NDArray[Any], cut: Cut, volume: int, number: int) -> npt.NDArray[Any]:
    """Return one slice, (rows, columns), as stored."""
    slices, rows, columns = cut.axes
    at = voxels.shape[slices] - 1 - number if cut.backwards[0] else number
    plane: npt.NDArray[Any] = np.take(voxels[..., volume], at, axis=slices)
    if rows > columns:
        plane = plane.T
    step = {True: -1, False: 1}
    return plane[:: step[cut.backwards[1]], :: step[cut.backwards[2]]]


def _spacing(file: NiftiFile, cut: Cut) -> tuple[float, float] | None:
    rows_mm, columns_mm = file.zooms_mm[cut.axes[1]], file.zooms_mm[cut.axes[2]]
    known = min(rows_mm, columns_mm) > 0 and math.isfinite(rows_mm + columns_mm)
    return (rows_mm, columns_mm) if known else None
