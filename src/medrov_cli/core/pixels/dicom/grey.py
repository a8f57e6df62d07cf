"""Grey values of DICOM: stored value -> modality LUT -> VOI LUT or window -> 8 bit.

They are computed by hand because pydicom's functions compute every pixel in float64, raise on invalid
windows, and do not choose between the windows of a file, a preset and the range of the frame. Here an
invalid window is a warning, and the reader continues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.pixels.dicom.luts import VoiView
from medrov_cli.core.pixels.greyscale import (
    IDENTITY,
    LookupTable,
    Values,
    VoiFunction,
    apply_range,
    apply_window,
    center_width,
    full_range,
    map_values,
    rescale,
)
from medrov_cli.core.records.frame import UInt8Array, Window
from medrov_cli.core.settings.window import DEFAULT_CT_PRESET, PRESETS, WindowKind, WindowSpec

NO_HU_WARNING = "The window preset needs Hounsfield units, which this image does not have; 'auto' was used."
NO_TAG_WARNING = "The file has no window of that number; 'auto' was used."


@dataclass(frozen=True, slots=True)
class GreyScale:
    """Conversion of the stored values of one frame to 8 bit; see `grey_scale`.

    Attributes
    ----------
    modality_table
        Modality LUT; null: ``slope`` and ``intercept`` apply.
    views
        Valid VOI lookup tables of the file, followed by its windows.
    is_hu
        Whether rescaled values are Hounsfield units.
    is_float
        Whether stored values are floating point.
    stored_bits
        Bits of an unsigned stored value; null for signed and floating-point ones.
    padding
        Lowest and highest stored value that mean "no image here", or null.
    warnings
        Warnings for the user.
    """

    modality_table: LookupTable | None
    slope: float
    intercept: float
    views: tuple[VoiView, ...]
    is_hu: bool
    is_float: bool
    stored_bits: int | None
    padding: tuple[float, float] | None
    warnings: tuple[str, ...]

    def rescale(self, stored: Values) -> Values:
        """Return stored values in the units after the modality LUT or rescale."""
        if self.modality_table is not None:
            return self.modality_table.apply(stored)
        return rescale(stored, self.slope, self.intercept)

    def render(self, stored: Values, spec: WindowSpec) -> tuple[UInt8Array, Window, tuple[str, ...]]:
        """Convert one frame to 8-bit grey, with 0 for the smallest value in every photometric interpretation.

        ``auto`` is the first available of: the file's first VOI LUT or window (not for floating-point
        values, for which DICOM's LINEAR function is not defined); for values in HU the preset
        `DEFAULT_CT_PRESET`; for unsigned values of up to 8 bits their full range; the range of the frame
        without its padding.

        Parameters
        ----------
        stored
            (height, width), as decoded.
        spec
            The user's choice; ``auto`` replaces a preset or tag that is impossible for the file.

        Returns
        -------
        tuple
            uint8 (height, width); the window that was used; warnings for the user.
        """
        if spec.kind is WindowKind.CUSTOM and spec.center is not None and spec.width is not None:
            pixels, window = self._through(stored, spec.center, spec.width, "custom", None)
            return pixels, window, ()
        if spec.kind is WindowKind.PRESET and spec.preset is not None and self.is_hu:
            pixels, window = self._preset(stored, spec.preset)
            return pixels, window, ()
        if spec.kind is WindowKind.TAG and spec.index < len(self.views):
            pixels, window = self._tagged(stored, spec.index)
            return pixels, window, ()
        fallback = {WindowKind.PRESET: (NO_HU_WARNING,), WindowKind.TAG: (NO_TAG_WARNING,)}
        pixels, window = self._auto(stored)
        return pixels, window, fallback.get(spec.kind, ())

    def _auto(self, stored: Values) -> tuple[UInt8Array, Window]:
        if self.views and not self.is_float:
            return self._tagged(stored, 0)
        if self.is_hu:
            return self._preset(stored, DEFAULT_CT_PRESET)
        plain = self.modality_table is None and (self.slope, self.intercept) == IDENTITY
        if plain and self.stored_bits == 8:
            return stored.astype(np.uint8), Window("none")
        if plain and self.stored_bits is not None and self.stored_bits < 8:
            low, high = 0.0, float(2**self.stored_bits - 1)
        else:
            low, high = self._own_range(stored)
        center, width = center_width(low, high)
        pixels = map_values(stored, lambda values: apply_range(self.rescale(values), low, high))
        return pixels, Window("range", center=center, width=width)

    def _own_range(self, stored: Values) -> tuple[float, float]:
        kept = stored
        if self.padding is not None:
            image = stored[(stored < self.padding[0]) | (stored > self.padding[1])]
            kept = image if image.size else stored
        if self.modality_table is not None:
            return full_range(self.rescale(kept))
        first, last = (float(end) for end in self.rescale(np.array(full_range(kept))))
        return min(first, last), max(first, last)

    def _preset(self, stored: Values, name: str) -> tuple[UInt8Array, Window]:
        preset = PRESETS[name]
        return self._through(stored, preset.center_hu, preset.width_hu, "preset", name)

    def _tagged(self, stored: Values, index: int) -> tuple[UInt8Array, Window]:
        view = self.views[index]
        name = f"tag:{index + 1}"
        if view.table is None:
            return self._through(stored, view.center, view.width, "tag", name, view.function)
        table, full = view.table, 2**view.table.bits - 1
        pixels = map_values(stored, lambda values: apply_range(table.apply(self.rescale(values)), 0, full))
        return pixels, Window("tag", name)

    def _through(
        self,
        stored: Values,
        center: float,
        width: float,
        source: str,
        name: str | None,
        function: VoiFunction = VoiFunction.LINEAR,
    ) -> tuple[UInt8Array, Window]:
        if self.is_float and function is VoiFunction.LINEAR:
            function = VoiFunction.LINEAR_EXACT
        pixels = map_values(
            stored, lambda values: apply_window(self.rescale(values), center, width, function)
        )
        return pixels, Window(source, name, center, width)
