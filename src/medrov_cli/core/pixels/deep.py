"""Conversion of images of more than 8 bits other than DICOM to 8-bit RGB."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.pixels.greyscale import (
    Values,
    VoiFunction,
    apply_range,
    apply_window,
    center_width,
    map_values,
    percentile_range,
    to_rgb,
)
from medrov_cli.core.records.frame import UInt8Array, Window
from medrov_cli.core.settings.window import WindowKind, WindowSpec

NO_HU_WARNING = (
    "The window preset needs Hounsfield units, which this format does not contain; 'auto' was used."
)
NO_TAG_WARNING = "This format contains no window; 'auto' was used."
COLOR_WARNING = "A window does not apply to a colour image and was ignored."


def deep_to_rgb(
    values: Values, spec: WindowSpec, missing: float | None = None
) -> tuple[UInt8Array, Window, tuple[str, ...]]:
    """Scale the values of an image between their 0.5th and 99.5th percentile to 0..255.

    The percentiles are computed over all channels together, so that the colour balance is kept. If both are
    equal, the full range is used. A WIDTH,CENTER window is applied to grey images.

    Parameters
    ----------
    values
        Integers of more than 8 bits or floats, (height, width), (height, width, 1) or (height, width, 3).
    spec
        The user's choice of a window.
    missing
        Value of missing pixels, which does not count for the percentiles; null if there is none.

    Returns
    -------
    tuple
        uint8 (height, width, 3); the window that was used; warnings for the user.
    """
    is_color = values.ndim == 3 and values.shape[2] == 3
    grey_or_rgb = values if is_color else values.reshape(values.shape[:2])
    if spec.kind is WindowKind.CUSTOM and not is_color and spec.center is not None and spec.width is not None:
        center, width = spec.center, spec.width
        exact = np.issubdtype(values.dtype, np.inexact)
        function = VoiFunction.LINEAR_EXACT if exact else VoiFunction.LINEAR
        pixels = map_values(grey_or_rgb, lambda part: apply_window(part, center, width, function))
        return to_rgb(pixels), Window("custom", center=center, width=width), ()
    low, high = percentile_range(values if missing is None else values[values != missing])
    pixels = map_values(grey_or_rgb, lambda part: apply_range(part, low, high))
    center, width = center_width(low, high)
    window = Window("percentile", center=center, width=width)
    return pixels if is_color else to_rgb(pixels), window, _notes(spec, is_color)


def _notes(spec: WindowSpec, is_color: bool) -> tuple[str, ...]:
    if spec.kind is WindowKind.AUTO:
        return ()
    if is_color:
        return (COLOR_WARNING,)
    return (NO_TAG_WARNING if spec.kind is WindowKind.TAG else NO_HU_WARNING,)
