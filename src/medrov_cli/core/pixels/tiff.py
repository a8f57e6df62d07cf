"""Reader of TIFF: 8, 16 and 32 bit, grey, palette or RGB, compressed or not, one frame per page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import require_plausible, reserve
from medrov_cli.core.pixels.channels import count_images, render_all, split_channels
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.image_size import check_size, check_total
from medrov_cli.core.pixels.isolation import decode_isolated
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.tiff_pages import (
    check_chain,
    count_colors,
    count_planes,
    find_alpha,
    full_pages,
    look_up_palette,
    orientation_warnings,
)
from medrov_cli.core.pixels.tiff_segments import check_segments
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import WindowSpec

_GDAL_NODATA = 42113

_RENDERING_BYTES = 24
"""Bytes per pixel for scaling, with the RGB image."""

_COMMON_COMPRESSIONS = frozenset({1, 5, 7, 8, 32773, 32946})
"""Compressions that are decoded in this process: none, LZW, JPEG, deflate, PackBits, and the old deflate."""


def read_tiff(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the full-resolution pages of a TIFF file; reduced copies and masks are left out.

    Channels of a page are colours, transparency or images; see `channels`. Values of more than 8 bits are
    scaled between percentiles of each image, see `deep.deep_to_rgb`. MINISWHITE pages are inverted, palettes
    applied. A stack of ImageJ, tifffile or MetaMorph may have one directory for all of its planes.

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
            pages = _pages(tiff, options.limits, end)
            planes = count_planes(tiff, pages, options.limits)
            count = planes * sum(_count_images(page) for page in pages)
            check_total(planes * sum(page.nbytes for page in pages), end, options.limits)
            index = 0
            with reserve(max(map(_page_bytes, pages))):
                for page in pages:
                    _check_page(page, options.limits, end)
                    check_segments(file, page)
                    for plane in range(planes):
                        values = _decoded(page, path) if planes == 1 else _plane(file, tiff, page, plane)
                        for pixels, window, warnings in _rendered(page, values, options.window):
                            notes = (*orientation_warnings(page), *warnings)
                            yield Frame(pixels, path, index, count, window=window, warnings=notes)
                            index += 1


def _page_bytes(page: tifffile.TiffPage) -> int:
    """Return what decoding and rendering of a page allocate: two copies of its samples, and the window."""
    return int(page.nbytes) * 2 + page.imagelength * page.imagewidth * _RENDERING_BYTES


def _opened(file: Any) -> tifffile.TiffFile:
    try:
        return tifffile.TiffFile(file)
    except tifffile.TiffFileError:
        raise MedrovError(
            ErrorCode.DECODE_FAILED, "The TIFF header is damaged.", "Copy or export the file again."
        ) from None


def _pages(tiff: tifffile.TiffFile, limits: InputLimits, end: int) -> list[tifffile.TiffPage]:
    check_chain(tiff, limits, end)
    pages = full_pages(tiff)
    if not pages:
        raise MedrovError(ErrorCode.NO_PIXELS, "The TIFF file contains no page.", "Export the image again.")
    return pages


def _check_page(page: tifffile.TiffPage, limits: InputLimits, end: int) -> None:
    """Check size, layout and position of the pixels of a page."""
    check_size(page.imagelength, page.imagewidth, limits)
    if page.nbytes > limits.inflated_bytes:
        raise MedrovError(
            ErrorCode.TOO_LARGE, f"The page has more than {limits.inflated_bytes} bytes.", "Divide it."
        )
    colors = count_colors(page)
    if colors is None or page.samplesperpixel < colors or page.imagedepth != 1 or page.dtype is None:
        raise _unsupported()
    require_plausible(page.imagelength * page.imagewidth * page.samplesperpixel, sum(page.databytecounts))
    segments = zip(page.dataoffsets, page.databytecounts, strict=False)
    if not any(page.databytecounts) or any(offset + count > end for offset, count in segments):
        raise EOFError


def _plane(file: Any, tiff: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Values:
    """Read a plane of a stack with one directory, uncompressed, behind the first one."""
    file.seek(page.dataoffsets[0] + number * page.nbytes)
    data = file.read(page.nbytes)
    if len(data) < page.nbytes:
        raise EOFError
    return _by_channel(page, np.frombuffer(data, np.dtype(page.dtype).newbyteorder(tiff.byteorder)))


def _decoded(page: tifffile.TiffPage, path: str) -> Values:
    if int(page.compression) in _COMMON_COMPRESSIONS:
        return _by_channel(page, page.asarray())
    samples = page.imagelength * page.imagewidth * page.samplesperpixel
    decoded = decode_isolated("tiff", b"", _page_bytes(page), samples, path=path, page=page.index)
    return _by_channel(page, decoded.values)


def _by_channel(page: tifffile.TiffPage, values: Values) -> Values:
    """Return the values of a page as (height, width) or (height, width, channels)."""
    if values.dtype.kind not in "buif":
        raise _unsupported()
    if page.samplesperpixel == 1:
        return values.reshape(page.imagelength, page.imagewidth)
    values = values.reshape(page.shape)
    return np.moveaxis(values, 0, -1) if page.axes.startswith("S") else values  # S first: separate planes


def _count_images(page: tifffile.TiffPage) -> int:
    return count_images(count_colors(page) or 1, find_alpha(page))


def _rendered(
    page: tifffile.TiffPage, values: Values, spec: WindowSpec
) -> Iterator[tuple[UInt8Array, Window, tuple[str, ...]]]:
    photometric = int(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.PALETTE:
        images, notes = split_channels(values, 1, find_alpha(page))
        for image in images:
            yield look_up_palette(page, image), Window("none"), notes
        return
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif page.bitspersample < 8:
        values = (values.astype(np.uint16) * 255 // (2**page.bitspersample - 1)).astype(np.uint8)
    colors = count_colors(page) or 1
    for pixels, window, warnings in render_all(values, colors, find_alpha(page), spec, _missing_value(page)):
        is_inverted = photometric == tifffile.PHOTOMETRIC.MINISWHITE
        yield 255 - pixels if is_inverted else pixels, window, warnings


def _missing_value(page: tifffile.TiffPage) -> float | None:
    """Return the value that stands for missing pixels (GDAL_NODATA); null without one."""
    tag = page.tags.get(_GDAL_NODATA)
    try:
        return None if tag is None else float(str(tag.value).strip("\0 "))
    except ValueError:
        return None


def _unsupported() -> MedrovError:
    return MedrovError(
        ErrorCode.UNSUPPORTED_FORMAT,
        "The TIFF page is neither grey, palette nor RGB.",
        "Export the image as grey or RGB.",
    )


READER: ImageReader = read_tiff
