"""Channels of decoded images: colours, transparency and others, by one rule for all formats.

Red, green and blue are one image; other channels beside them are left out, with a warning. Without
colours, each channel is an image. A channel that the file declares as transparency is left out, with a
warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medrov_cli.core.pixels.deep import deep_to_rgb
from medrov_cli.core.pixels.greyscale import Values, to_rgb
from medrov_cli.core.records.frame import UInt8Array, Window
from medrov_cli.core.settings.window import WindowKind, WindowSpec

ALPHA_WARNING = "The transparency of the image was left out."
WINDOW_WARNING = "A window does not apply to an 8-bit image and was ignored."
EXTRA_WARNING = "The image has channels beside red, green and blue, which were left out."
CHANNELS_WARNING = "The image has several channels; each is a frame of its own."


def count_images(colors: int, is_alpha: Sequence[bool]) -> int:
    """Return the number of images in the channels of a file; see `split_channels`."""
    return 1 if colors == 3 else 1 + sum(not alpha for alpha in is_alpha)


def split_channels(
    values: Values, colors: int, is_alpha: Sequence[bool]
) -> tuple[list[Values], tuple[str, ...]]:
    """Return the images in the channels of a file, and warnings.

    Parameters
    ----------
    values
        (height, width), or (height, width, channels).
    colors
        Number of channels that are colours: 3, or 1 for a grey image.
    is_alpha
        Of each further channel: whether the file declares it as transparency.

    Returns
    -------
    tuple
        Arrays of shape (height, width) or (height, width, 3).
    """
    if values.ndim == 2:
        return [values], ()
    warnings = (ALPHA_WARNING,) if any(is_alpha) else ()
    if colors == 3:
        return [values[..., :3]], warnings if all(is_alpha) else (*warnings, EXTRA_WARNING)
    kept = [0, *(1 + at for at, alpha in enumerate(is_alpha) if not alpha)]
    return [values[..., at] for at in kept], warnings if len(kept) == 1 else (*warnings, CHANNELS_WARNING)


def render(
    values: Values, spec: WindowSpec, missing: float | None = None
) -> tuple[UInt8Array, Window, tuple[str, ...]]:
    """Return one image as uint8 RGB: 8 bits as they are, others by `deep.deep_to_rgb`.

    Parameters
    ----------
    values
        (height, width) or (height, width, 3).
    spec
        The user's choice of a window.
    missing
        Value of missing pixels, which does not count for the window; null if there is none.

    Returns
    -------
    tuple
        uint8 (height, width, 3); the window that was used; warnings for the user.
    """
    if values.dtype != np.uint8:
        return deep_to_rgb(values, spec, missing)
    pixels = to_rgb(values) if values.ndim == 2 else np.ascontiguousarray(values)
    return pixels, Window("none"), () if spec.kind is WindowKind.AUTO else (WINDOW_WARNING,)


def render_all(
    values: Values,
    colors: int,
    is_alpha: Sequence[bool],
    spec: WindowSpec,
    missing: float | None = None,
) -> Iterator[tuple[UInt8Array, Window, tuple[str, ...]]]:
    """Yield `render` of each image of `split_channels`, with the warnings of both."""
    images, warnings = split_channels(values, colors, is_alpha)
    for image in images:
        pixels, window, notes = render(image, spec, missing)
        yield pixels, window, (*warnings, *notes)


def spread_bits(values: Values, largest: int) -> Values:
    """Return integers from 0 to ``largest``: up to 255 as uint8 from 0 to 255, larger ones as they are."""
    if largest > 255:
        return values
    values = np.minimum(values, largest).astype(np.uint32)
    return (
        values.astype(np.uint8)
        if largest == 255
        else ((values * 510 + largest) // (2 * largest)).astype(np.uint8)
    )
