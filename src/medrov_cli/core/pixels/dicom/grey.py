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
    looks_like_hu,
    map_values,
    percentile_range,
    rescale,
)
from medrov_cli.core.records.frame import UInt8Array, Window
from medrov_cli.core.settings.window import DEFAULT_CT_PRESET, PRESETS, WindowKind, WindowSpec

NO_HU_WARNING = "The window preset needs Hounsfield units, which this image does not have; 'auto' was used."
NO_TAG_WARNING = "The file has no valid window of that number; 'auto' was used."
HU_WARNING = "The values are in the range of Hounsfield units: the image was treated as CT."

VOLUME_MODALITIES = frozenset({"CT", "MR", "PT", "NM"})
"""Modalities whose images also exist as volumes without a window (NIfTI): `auto` ignores the window."""


@dataclass(frozen=True, slots=True)
class ValueStatistics:
    """Statistics of rescaled values without padding: of a frame, or of the series that it belongs to.

    Attributes
    ----------
    low, high
        `percentile_range` of the values.
    looks_like_hu
        Whether they are in the range of Hounsfield units.
    """

    low: float
    high: float
    looks_like_hu: bool


@dataclass(frozen=True, slots=True)
class GreyScale:
    """Conversion of the stored values of one frame to 8 bit; see `grey_scale`.

    Attributes
    ----------
    modality_table
        Modality LUT; null: ``slope`` and ``intercept`` apply.
    views
        Valid VOI lookup tables of the file, followed by its windows.
    modality
        Modality in the header, or an empty text.
    is_hu
        Whether the header says that rescaled values are Hounsfield units.
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
    modality: str
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

    def image_values(self, stored: Values) -> Values:
        """Return the rescaled values of a frame without its padding; all of them if nothing else is left."""
        kept = stored
        if self.padding is not None:
            image = stored[(stored < self.padding[0]) | (stored > self.padding[1])]
            kept = image if image.size else stored
        return self.rescale(kept)

    @property
    def uses_statistics(self) -> bool:
        """Return whether ``auto`` depends on values of the image, which a volume shares."""
        is_narrow = self._is_plain and self.stored_bits is not None and self.stored_bits <= 8
        return self.modality in VOLUME_MODALITIES and not self.is_hu and not is_narrow

    @property
    def _is_plain(self) -> bool:
        return self.modality_table is None and (self.slope, self.intercept) == IDENTITY

    def render(
        self, stored: Values, spec: WindowSpec, volume: ValueStatistics | None = None
    ) -> tuple[UInt8Array, Window, tuple[str, ...]]:
        """Convert one frame to 8-bit grey, with 0 for the smallest value in every photometric interpretation.

        ``auto`` is the first available of: the preset `DEFAULT_CT_PRESET` for CT in HU; the file's first VOI
        LUT or window (not for `VOLUME_MODALITIES`, and not for floating-point values, for which DICOM's
        LINEAR function is not defined); for unsigned values of up to 8 bits their full range; the
        percentiles of the values without padding. CT without a statement of its unit is treated as HU if
        its values are in that range.

        Parameters
        ----------
        stored
            (height, width), as decoded.
        spec
            The user's choice; ``auto`` replaces a preset or tag that is impossible for the file.
        volume
            Statistics of the series; null: those of the frame.

        Returns
        -------
        tuple
            uint8 (height, width); the window that was used; warnings for the user.
        """
        if spec.kind is WindowKind.CUSTOM and spec.center is not None and spec.width is not None:
            pixels, window = self._through(stored, spec.center, spec.width, "custom", None)
            return pixels, window, ()
        view = self._view(spec.index) if spec.kind is WindowKind.TAG else None
        if view is not None:
            pixels, window = self._tagged(stored, view)
            return pixels, window, ()
        is_hu, warnings = self._is_hu(stored, volume)
        if is_hu:
            preset = spec.preset if spec.kind is WindowKind.PRESET and spec.preset else DEFAULT_CT_PRESET
            pixels, window = self._preset(stored, preset)
        else:
            pixels, window = self._auto(stored, volume)
        if spec.kind is WindowKind.TAG:
            warnings += (NO_TAG_WARNING,)
        elif spec.kind is WindowKind.PRESET and not is_hu:
            warnings += (NO_HU_WARNING,)
        return pixels, window, warnings

    def _is_hu(self, stored: Values, volume: ValueStatistics | None) -> tuple[bool, tuple[str, ...]]:
        if self.is_hu or self.modality != "CT" or self.modality_table is not None:
            return self.is_hu, ()
        found = looks_like_hu(self.image_values(stored)) if volume is None else volume.looks_like_hu
        return found, (HU_WARNING,) if found else ()

    def _auto(self, stored: Values, volume: ValueStatistics | None) -> tuple[UInt8Array, Window]:
        if self.views and not self.is_float and self.modality not in VOLUME_MODALITIES:
            return self._tagged(stored, self.views[0])
        if self._is_plain and self.stored_bits == 8:
            return stored.astype(np.uint8), Window("none")
        source = "percentile"
        if self._is_plain and self.stored_bits is not None and self.stored_bits < 8:
            source, low, high = "range", 0.0, float(2**self.stored_bits - 1)
        elif volume is not None:
            low, high = volume.low, volume.high
        else:
            low, high = percentile_range(self.image_values(stored))
        center, width = center_width(low, high)
        pixels = map_values(stored, lambda values: apply_range(self.rescale(values), low, high))
        return pixels, Window(source, center=center, width=width)

    def _preset(self, stored: Values, name: str) -> tuple[UInt8Array, Window]:
        preset = PRESETS[name]
        return self._through(stored, preset.center_hu, preset.width_hu, "preset", name)

    def _view(self, index: int) -> VoiView | None:
        """Return the view of a number from 0; for 0 the first valid one; null if there is none."""
        if index == 0:
            return next(iter(self.views), None)
        return next((view for view in self.views if view.number == index + 1), None)

    def _tagged(self, stored: Values, view: VoiView) -> tuple[UInt8Array, Window]:
        name = f"tag:{view.number}"
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
