"""Grey-level window of a whole volume, and detection of Hounsfield units."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.pixels.greyscale import (
    Values,
    VoiFunction,
    apply_range,
    apply_window,
    center_width,
    full_range,
    looks_like_hu,
    map_values,
    percentile_range,
    rescale,
    to_rgb,
)
from medrov_cli.core.pixels.volumes.volume import Volume, unsupported
from medrov_cli.core.records.frame import UInt8Array, Window
from medrov_cli.core.settings.window import DEFAULT_CT_PRESET, PRESETS, WindowKind, WindowSpec

HU_WARNING = "The values are in the range of Hounsfield units: the volume was treated as CT."
NOT_HU_WARNING = "The values are not in the range of Hounsfield units; the preset was applied."
NO_TAG_WARNING = "{} files contain no window; 'auto' was used."
COLOR_WINDOW_WARNING = "A window does not apply to a colour volume and was ignored."

_SAMPLES = 2_000_000
"""Maximum number of voxels for exact statistics of a volume; above it an even sample is used."""


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

    def __init__(self, file: Volume, spec: WindowSpec) -> None:
        self._file = file
        if file.voxels.dtype.kind == "c":
            raise unsupported(file.format, "has voxels that are complex numbers", "Save their magnitude.")
        self.looks_like_hu = False
        if file.is_color:
            self.window = (
                Window("none")
                if file.voxels.dtype == np.uint8
                else self._percentiles(self._scale(_sample(file.voxels)))
            )
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
        return self._percentiles(sample)

    def _percentiles(self, sample: Values) -> Window:
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
            notes.append(NO_TAG_WARNING.format(self._file.format))
        return tuple(notes)

    def _scale(self, stored: Values) -> Values:
        return rescale(stored, self._file.slope, self._file.intercept)

    def __call__(self, stored: npt.NDArray[Any]) -> UInt8Array:
        """Return a slice, (height, width) or (height, width, 3), as uint8 (height, width, 3)."""
        if not self._file.is_color:
            return to_rgb(map_values(stored, self._grey))
        pixels = stored if stored.dtype == np.uint8 else map_values(stored, self._grey)
        return np.ascontiguousarray(pixels)

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
    flat = voxels.ravel(order="K")
    step = math.ceil(flat.size / _SAMPLES)
    while step > 1 and any(math.gcd(step, size) > 1 for size in voxels.shape):
        step += 1
    return np.asarray(flat[::step])
