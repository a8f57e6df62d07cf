"""Reader of TIFF: 8, 16 and 32 bit, grey, palette or RGB, compressed or not, one frame per page."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.deep import deep_to_rgb
from medrov_cli.core.pixels.greyscale import Values, to_rgb
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.raster import ALPHA_WARNING, WINDOW_WARNING, check_size
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.settings.window import WindowKind, WindowSpec

_BIG_TIFF = 43

_COLORS: dict[int, int] = {
    tifffile.PHOTOMETRIC.MINISBLACK: 1,
    tifffile.PHOTOMETRIC.MINISWHITE: 1,
    tifffile.PHOTOMETRIC.PALETTE: 1,
    tifffile.PHOTOMETRIC.RGB: 3,
}
"""Channels of the supported photometric interpretations, without extra channels."""

_JPEG_COMPRESSIONS = frozenset({6, 7, 33003, 33005, 33007, 34892})
"""Compressions whose decoders return RGB for YCbCr: JPEG, and the JPEG 2000 variants of microscopes."""


def read_tiff(path: str, spec: WindowSpec, limits: InputLimits) -> Iterator[Frame]:
    """Yield the full-resolution pages of a TIFF file; reduced copies and masks are left out.

    Values of more than 8 bits are scaled between percentiles of each page, see `deep.deep_to_rgb`.
    MINISWHITE pages are inverted, palettes applied, alpha channels removed.

    Raises
    ------
    MedrovError
        ``too_large``, before decoding; ``unsupported_format`` for pages that are not grey,
        palette or RGB; ``truncated``; ``decode_failed``; ``no_pixels``.
    """
    silence_python()
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        end = file.seek(0, 2)
        file.seek(0)
        with _opened(file) as tiff:
            pages = _pages(tiff, limits, end)
            for index, page in enumerate(pages):
                check_size(page.imagelength, page.imagewidth, limits)
                _check_whole(page, end)
                pixels, window, warnings = _render(page, spec)
                yield Frame(pixels, path, index, len(pages), window=window, warnings=warnings)


def _opened(file: Any) -> tifffile.TiffFile:
    try:
        return tifffile.TiffFile(file)
    except tifffile.TiffFileError:
        raise MedrovError(
            ErrorCode.DECODE_FAILED, "The TIFF header is damaged.", "Copy or export the file again."
        ) from None


def _pages(tiff: tifffile.TiffFile, limits: InputLimits, end: int) -> list[tifffile.TiffPage]:
    _check_chain(tiff, limits, end)
    pages = [page.aspage() for page in tiff.pages]
    pages = [page for page in pages if not (page.is_reduced or page.is_mask)]
    if not pages:
        raise MedrovError(ErrorCode.NO_PIXELS, "The TIFF file contains no page.", "Export the image again.")
    return pages


def _check_chain(tiff: tifffile.TiffFile, limits: InputLimits, end: int) -> None:
    """Check the chain of page directories: tifffile ignores one beyond the end of the file."""
    file, layout = tiff.filehandle, tiff.tiff
    file.seek(layout.offsetsize if layout.version == _BIG_TIFF else 4)
    seen: set[int] = set()
    while True:
        (offset,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
        if offset == 0:
            return
        if offset in seen or len(seen) >= limits.frames:
            raise MedrovError(
                ErrorCode.TOO_LARGE,
                f"The pages of the TIFF file are linked in a circle, or exceed {limits.frames}.",
                "Split it, or export it again.",
            )
        seen.add(offset)
        if offset + layout.tagnosize > end:
            raise EOFError
        file.seek(offset)
        (tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
        if file.tell() + tags * layout.tagsize + layout.offsetsize > end:
            raise EOFError
        file.seek(tags * layout.tagsize, 1)


def _check_whole(page: tifffile.TiffPage, end: int) -> None:
    segments = zip(page.dataoffsets, page.databytecounts, strict=False)
    if not page.dataoffsets or any(offset + count > end for offset, count in segments):
        raise EOFError


def _render(page: tifffile.TiffPage, spec: WindowSpec) -> tuple[UInt8Array, Window, tuple[str, ...]]:
    values, warnings = _channels(page)
    photometric = int(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.PALETTE:
        return _looked_up(page, values), Window("none"), warnings
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif page.bitspersample < 8:
        values = (values.astype(np.uint16) * 255 // (2**page.bitspersample - 1)).astype(np.uint8)
    if values.dtype == np.uint8:
        pixels = to_rgb(values) if values.ndim == 2 else np.ascontiguousarray(values)
        window = Window("none")
        warnings += () if spec.kind is WindowKind.AUTO else (WINDOW_WARNING,)
    else:
        pixels, window, notes = deep_to_rgb(values, spec)
        warnings += notes
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        pixels = 255 - pixels
    return pixels, window, warnings


def _channels(page: tifffile.TiffPage) -> tuple[Values, tuple[str, ...]]:
    """Decode a page to (height, width) or (height, width, 3), without its extra channels."""
    photometric = int(page.photometric)
    colors = _COLORS.get(photometric)
    if photometric == tifffile.PHOTOMETRIC.YCBCR and int(page.compression) in _JPEG_COMPRESSIONS:
        colors = 3
    extra = len(page.extrasamples)
    if colors is None or page.samplesperpixel != colors + extra or page.imagedepth != 1:
        raise _unsupported()
    values = page.asarray()
    if values.dtype.kind not in "buif":
        raise _unsupported()
    if page.samplesperpixel == 1:
        return values.reshape(page.imagelength, page.imagewidth), ()
    if page.axes.startswith("S"):  # separate planes
        values = np.moveaxis(values, 0, -1)
    values = values[..., 0] if colors == 1 else values[..., :colors]
    return values, (ALPHA_WARNING,) if extra else ()


def _unsupported() -> MedrovError:
    return MedrovError(
        ErrorCode.UNSUPPORTED_FORMAT,
        "The TIFF page is neither grey, palette nor RGB.",
        "Export the image as grey or RGB, one channel per page.",
    )


def _looked_up(page: tifffile.TiffPage, indices: Values) -> UInt8Array:
    """Return the colours of palette indices: the high byte of the 16-bit TIFF palette."""
    colormap = np.asarray(page.colormap)  # (3, entries)
    table = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8)
    return np.ascontiguousarray(table.T[np.minimum(indices, table.shape[1] - 1)])
