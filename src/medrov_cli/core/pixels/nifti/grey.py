"""Grey-level window of a whole NIfTI volume, and detection of Hounsfield units."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.greyscale import (
    Values,
    VoiFunction,
    apply_range,
    apply_window,
    center_width,
    full_range,
    map_values,
    percentile_range,
    rescale,
    to_rgb,
)
from medrov_cli.core.pixels.nifti.file import NiftiFile
from medrov_cli.core.records.frame import UInt8Array, Window
from medrov_cli.core.settings.window import DEFAULT_CT_PRESET, PRESETS, WindowKind, WindowSpec

_HU_AIR = (-1200.0, -700.0)
_HU_SOFT = (-200.0, 300.0)
_HU_SHARE = 0.01
"""A volume is treated as CT if at least this fraction of its voxels is air or lung, and the same fraction is
fat or soft tissue (ranges in HU, chosen here and checked on CT and MR volumes)."""

HU_WARNING = "The values are in the range of Hounsfield units: the volume was treated as CT."
NOT_HU_WARNING = "The values are not in the range of Hounsfield units; the preset was applied."
NO_TAG_WARNING = "NIfTI files contain no window; 'auto' was used."
COLOR_WINDOW_WARNING = "A window does not apply to a colour volume and was ignored."

_SAMPLES = 2_000_000
"""Maximum number of voxels for exact statistics of a volume; above it an even sample is used."""


def looks_like_hu(values: Values) -> bool:
    """Return whether values of any shape are Hounsfield units, with both air and soft tissue."""
    if not values.size:
        return False
    shares = [
        np.count_nonzero((values >= low) & (values <= high)) / values.size
        for low, high in (_HU_AIR, _HU_SOFT)
    ]
    return bool(min(shares) >= _HU_SHARE)


class Renderer:
    """Converter of slices of stored values to 8-bit RGB, with one window per file.

    ``auto`` is the preset `DEFAULT_CT_PRESET` if the values are in the range of HU (with a warning),
    else the 0.5th to 99.5th percentile of the file. Presets are applied as HU in both cases.

    Attributes
    ----------
    window
        Window of every slice.
    looks_like_hu
        Whether the volume is treated as CT.
    warnings
        Warnings for the user.

    Raises
    ------
    MedrovError
        ``unsupported_format`` for complex voxels.
    """

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
            self.warnings: tuple[str, ...] = () if spec.kind is WindowKind.AUTO else (COLOR_WINDOW_WARNING,)
            return
        sample = self._scale(_sample(file.voxels))
        self.looks_like_hu = looks_like_hu(sample)
        self.window = self._choose(spec, sample)
        self.warnings = self._notes(spec)

    def _choose(self, spec: WindowSpec, sample: Values) -> Window:
        if spec.kind is WindowKind.CUSTOM:
            return Window("custom", center=spec.center, width=spec.width)
        name = spec.preset if spec.kind is WindowKind.PRESET else DEFAULT_CT_PRESET
        if name is not None and (spec.kind is WindowKind.PRESET or self.looks_like_hu):
            return Window("preset", name, PRESETS[name].center_hu, PRESETS[name].width_hu)
        low, high = percentile_range(sample)
        if not high > low:  # the sample is constant: it may have missed a small mask
            low, high = full_range(self._scale(np.asarray(self._file.voxels)))
        center, width = center_width(low, high)
        return Window("percentile", center=center, width=width)

    def _notes(self, spec: WindowSpec) -> tuple[str, ...]:
        notes = []
        if self.looks_like_hu:
            notes.append(HU_WARNING)
        elif spec.kind is WindowKind.PRESET:
            notes.append(NOT_HU_WARNING)
        if spec.kind is WindowKind.TAG:
            notes.append(NO_TAG_WARNING)
        return tuple(notes)

    def _scale(self, stored: Values) -> Values:
        return rescale(stored, self._file.slope, self._file.intercept)

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
    """Return up to `_SAMPLES` evenly spaced voxels; the step shares no factor with a dimension."""
    flat = voxels.reshape(-1, order="F")
    step = math.ceil(flat.size / _SAMPLES)
    while step > 1 and any(math.gcd(step, size) > 1 for size in voxels.shape):
        step += 1
    return np.asarray(flat[::step])
