"""Reader of TIFF: 8, 16 and 32 bit, grey, palette or RGB, compressed or not, one frame per page."""

from __future__ import annotations

import math
import struct
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
from medrov_cli.core.pixels.tiff_segments import check_segments
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import WindowSpec

_BIG_TIFF = 43
_GDAL_NODATA = 42113

_RENDERING_BYTES = 24
"""Bytes per pixel for scaling, with the RGB image."""

_COLORS: dict[int, int] = {
    tifffile.PHOTOMETRIC.MINISBLACK: 1,
    tifffile.PHOTOMETRIC.MINISWHITE: 1,
    tifffile.PHOTOMETRIC.PALETTE: 1,
    tifffile.PHOTOMETRIC.RGB: 3,
}
"""Channels of the supported photometric interpretations, without extra channels."""

_COMMON_COMPRESSIONS = frozenset({1, 5, 7, 8, 32773, 32946})
"""Compressions that are decoded in this process: none, LZW, JPEG, deflate, PackBits, and the old deflate."""

_JPEG_COMPRESSIONS = frozenset({6, 7, 33003, 33005, 33007, 34892})
"""Compressions whose decoders return RGB for YCbCr: JPEG, and the JPEG 2000 variants of microscopes."""


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
            planes = _planes_of_one_directory(tiff, pages, options.limits)
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
                            yield Frame(pixels, path, index, count, window=window, warnings=warnings)
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


def _check_page(page: tifffile.TiffPage, limits: InputLimits, end: int) -> None:
    """Check size, layout and position of the pixels of a page."""
    check_size(page.imagelength, page.imagewidth, limits)
    if page.nbytes > limits.inflated_bytes:
        raise MedrovError(
            ErrorCode.TOO_LARGE, f"The page has more than {limits.inflated_bytes} bytes.", "Divide it."
        )
    colors = _colors(page)
    if colors is None or page.samplesperpixel < colors or page.imagedepth != 1 or page.dtype is None:
        raise _unsupported()
    require_plausible(page.imagelength * page.imagewidth * page.samplesperpixel, sum(page.databytecounts))
    segments = zip(page.dataoffsets, page.databytecounts, strict=False)
    if not any(page.databytecounts) or any(offset + count > end for offset, count in segments):
        raise EOFError


def _planes_of_one_directory(
    tiff: tifffile.TiffFile, pages: list[tifffile.TiffPage], limits: InputLimits
) -> int:
    """Return how many planes follow each other where the only directory describes the first; 1 for others."""
    page = pages[0]
    is_stack = tiff.is_imagej or tiff.is_shaped or tiff.is_stk
    if len(pages) > 1 or not is_stack or not page.is_contiguous or page.dtype is None or not page.size:
        return 1
    if tiff.is_imagej:
        planes = int((tiff.imagej_metadata or {}).get("images", 1))
    else:
        planes = math.prod(tiff.series[0].shape) // page.size
    if planes > limits.frames:
        raise MedrovError(
            ErrorCode.TOO_LARGE, f"The file has {planes} planes; the limit is {limits.frames}.", "Divide it."
        )
    return max(planes, 1)


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


def _colors(page: tifffile.TiffPage) -> int | None:
    """Return the number of channels that are colours; null if they are not supported."""
    photometric = int(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.YCBCR and int(page.compression) in _JPEG_COMPRESSIONS:
        return 3
    return _COLORS.get(photometric)


def _is_alpha(page: tifffile.TiffPage) -> list[bool]:
    """Return whether each channel beside the colours is declared as transparency (ExtraSamples 1, 2)."""
    extra = page.samplesperpixel - (_colors(page) or page.samplesperpixel)
    declared = [int(value) in (1, 2) for value in page.extrasamples]
    return [*declared, *[False] * extra][:extra]


def _count_images(page: tifffile.TiffPage) -> int:
    return count_images(_colors(page) or 1, _is_alpha(page))


def _rendered(
    page: tifffile.TiffPage, values: Values, spec: WindowSpec
) -> Iterator[tuple[UInt8Array, Window, tuple[str, ...]]]:
    photometric = int(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.PALETTE:
        images, notes = split_channels(values, 1, _is_alpha(page))
        for image in images:
            yield _looked_up(page, image), Window("none"), notes
        return
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif page.bitspersample < 8:
        values = (values.astype(np.uint16) * 255 // (2**page.bitspersample - 1)).astype(np.uint8)
    colors = _colors(page) or 1
    for pixels, window, warnings in render_all(values, colors, _is_alpha(page), spec, _missing_value(page)):
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


def _looked_up(page: tifffile.TiffPage, indices: Values) -> UInt8Array:
    """Return the colours of palette indices: the high byte of the 16-bit TIFF palette."""
    colormap = np.asarray(page.colormap)  # (3, entries)
    table = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8)
    return np.ascontiguousarray(table.T[np.minimum(indices, table.shape[1] - 1)])


READER: ImageReader = read_tiff
