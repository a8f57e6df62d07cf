"""Cut NIfTI volumes into slices in radiological display.

Volumes are reoriented to the RAS+ axes that lie closest (nearest axis, no interpolation), then
cut and shown as radiologists do:

========  ==================  ====================  =========================
plane     slices from         left of the image     top of the image
========  ==================  ====================  =========================
axial     feet to head        the patient's right   front (anterior)
coronal   back to front       the patient's right   head (superior)
sagittal  left to right       front (anterior)      head (superior)
========  ==================  ====================  =========================

Volumes of a series follow each other: frame = volume * slices per volume + slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.orientations import io_orientation

from medrov_cli.core.config import Limits, Modality
from medrov_cli.core.errors import ErrorCode, MedrovError
from medrov_cli.core.io.greyscale import (
    Values,
    VoiFunction,
    apply_range,
    apply_window,
    center_width,
    full_range,
    map_values,
    percentile_range,
    to_rgb,
)
from medrov_cli.core.io.nifti_file import NiftiFile, bad_header, open_nifti
from medrov_cli.core.io.planes import Axis
from medrov_cli.core.io.window import DEFAULT_CT_PRESET, PRESETS, WindowKind, WindowSpec
from medrov_cli.core.records import Frame, UInt8Array, Window

HU_MINIMUM = (-3100.0, -500.0)
"""The smallest value of a CT lies here: air is -1000 HU, scanners pad with down to -3024 (ours)."""

HU_WARNING = "The values look like Hounsfield units: the volume was taken for CT."
NOT_HU_WARNING = "The values do not look like Hounsfield units; the preset was applied to them all the same."
NO_TAG_WARNING = "NIfTI files bring no window of their own; 'auto' was used."
COLOR_WINDOW_WARNING = "A window does not apply to a colour volume and was left out."

_SAMPLES = 2_000_000
"""Statistics of a volume are exact up to this many voxels, and taken from an even sample above."""

_RIGHT, _ANTERIOR, _SUPERIOR = 0, 1, 2
_PLANES: dict[Axis, tuple[int, int, int]] = {
    "axial": (_SUPERIOR, _ANTERIOR, _RIGHT),
    "coronal": (_ANTERIOR, _SUPERIOR, _RIGHT),
    "sagittal": (_RIGHT, _SUPERIOR, _ANTERIOR),
}
"""Per plane, the RAS axes of the slices, of the rows and of the columns; rows and columns are shown
from the axis's positive end."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """How to take slices: file axes of slices, rows and columns, and whether each is walked backwards."""

    axes: tuple[int, int, int]
    backwards: tuple[bool, bool, bool]


def read_nifti(path: str, spec: WindowSpec, axis: Axis, limits: Limits) -> Iterator[Frame]:
    """Yield the slices of a NIfTI file, plane by plane and volume by volume.

    One window holds for all slices of a file. ``auto`` is the preset `DEFAULT_CT_PRESET` where
    the values look like HU (smallest value in `HU_MINIMUM`, largest above 0; a sentence says so, and
    the modality is then CT), else the 0.5th to 99.5th percentile. Presets are applied as HU.

    Raises
    ------
    MedrovError
        An input code; see `nifti_file.open_nifti`.
    """
    file = open_nifti(path, limits)
    cut = _cut(file, axis)
    render = _Renderer(file, spec)
    slices = file.voxels.shape[cut.axes[0]]
    count = slices * file.voxels.shape[3]
    for index in range(count):
        volume, number = divmod(index, slices)
        yield Frame(
            pixels_rgb=render(_slice(file.voxels, cut, volume, number)),
            path=path,
            index=index,
            frame_count=count,
            modality=Modality.CT if render.looks_like_hu else None,
            window=render.window,
            pixel_spacing_mm=_spacing(file, cut),
            warnings=(*file.warnings, *render.warnings),
        )


def _cut(file: NiftiFile, axis: Axis) -> _Cut:
    try:
        orientation = io_orientation(file.affine)
    except (ValueError, np.linalg.LinAlgError):
        orientation = np.full((3, 2), np.nan)
    if not np.isfinite(orientation).all():
        raise bad_header("its orientation is degenerate")
    file_axis = {int(ras): number for number, (ras, _) in enumerate(orientation)}
    slices, rows, columns = (file_axis[ras] for ras in _PLANES[axis])
    forward = [direction > 0 for _, direction in orientation]
    # Slices ascend along their RAS axis; rows and columns descend (front, head, right come first).
    return _Cut((slices, rows, columns), (not forward[slices], forward[rows], forward[columns]))


def _slice(voxels: npt.NDArray[Any], cut: _Cut, volume: int, number: int) -> npt.NDArray[Any]:
    """Return one slice, (rows, columns), as stored."""
    slices, rows, columns = cut.axes
    at = voxels.shape[slices] - 1 - number if cut.backwards[0] else number
    plane = np.take(voxels[..., volume], at, axis=slices)
    if rows > columns:
        plane = plane.T
    step = {True: -1, False: 1}
    return plane[:: step[cut.backwards[1]], :: step[cut.backwards[2]]]


def _spacing(file: NiftiFile, cut: _Cut) -> tuple[float, float] | None:
    rows_mm, columns_mm = file.zooms_mm[cut.axes[1]], file.zooms_mm[cut.axes[2]]
    known = min(rows_mm, columns_mm) > 0 and math.isfinite(rows_mm + columns_mm)
    return (rows_mm, columns_mm) if known else None


class _Renderer:
    """Turn slices of stored values into 8-bit RGB with the one window of the file."""

    def __init__(self, file: NiftiFile, spec: WindowSpec) -> None:
        self._file = file
        self.is_color = file.voxels.dtype.fields is not None
        if file.voxels.dtype.kind == "c":
            raise MedrovError(
                ErrorCode.UNSUPPORTED_FORMAT,
                "The NIfTI voxels are complex numbers.",
                "Save their magnitude.",
            )
        self.looks_like_hu = False
        self._low = self._high = 0.0
        if self.is_color:
            self.window = Window("none")
            self.warnings = () if spec.kind is WindowKind.AUTO else (COLOR_WINDOW_WARNING,)
            return
        sample = self._scale(_sample(file.voxels))
        smallest, largest = full_range(sample)
        self.looks_like_hu = HU_MINIMUM[0] <= smallest <= HU_MINIMUM[1] and largest > 0
        self.window = self._choose(spec, sample)
        self.warnings = self._notes(spec)

    def _choose(self, spec: WindowSpec, sample: Values) -> Window:
        if spec.kind is WindowKind.CUSTOM:
            return Window("custom", center=spec.center, width=spec.width)
        name = spec.preset if spec.kind is WindowKind.PRESET else DEFAULT_CT_PRESET
        if name is not None and (spec.kind is WindowKind.PRESET or self.looks_like_hu):
            return Window("preset", name, PRESETS[name].center_hu, PRESETS[name].width_hu)
        low, high = percentile_range(sample)
        if not high > low:  # all that was sampled is alike: a small mask may have been missed
            low, high = full_range(self._scale(np.asarray(self._file.voxels)))
        center, width = center_width(low, high)
        return Window("percentile", center=center, width=width)

    def _notes(self, spec: WindowSpec) -> tuple[str, ...]:
        if self.looks_like_hu:
            hu = (HU_WARNING,)
        else:
            hu = (NOT_HU_WARNING,) if spec.kind is WindowKind.PRESET else ()
        return (*hu, NO_TAG_WARNING) if spec.kind is WindowKind.TAG else hu

    def _scale(self, stored: Values) -> Values:
        if (self._file.slope, self._file.intercept) == (1.0, 0.0):
            return stored
        return np.asarray(stored, dtype=np.float64) * self._file.slope + self._file.intercept

    def __call__(self, stored: npt.NDArray[Any]) -> UInt8Array:
        """Return a slice of shape (height, width) as uint8 (height, width, 3)."""
        if self.is_color:
            return np.ascontiguousarray(np.stack([stored[channel] for channel in "RGB"], axis=-1))
        return to_rgb(map_values(stored, self._grey))

    def _grey(self, stored: Values) -> UInt8Array:
        window = self.window
        center, width = window.center or 0.0, window.width or 0.0
        values = self._scale(stored)
        if window.source == "percentile":
            return apply_range(values, center - width / 2, center + width / 2)
        exact = np.issubdtype(self._file.voxels.dtype, np.inexact)
        return apply_window(values, center, width, VoiFunction.LINEAR_EXACT if exact else VoiFunction.LINEAR)


def _sample(voxels: npt.NDArray[Any]) -> Values:
    """Return up to `_SAMPLES` voxels, evenly spread: the step shares no factor with a dimension."""
    flat = voxels.reshape(-1, order="F")
    step = math.ceil(flat.size / _SAMPLES)
    while step > 1 and any(math.gcd(step, size) > 1 for size in voxels.shape):
        step += 1
    return np.asarray(flat[::step])
