"""Regions of large TIFF files: OME-TIFF and other pyramids, tiles, strips."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tifffile

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.channels import split_channels
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.slides.pyramid import (
    SLIDE_SIDE_PX,
    PyramidReader,
    plausible_mpp,
    whole_or_regions,
)
from medrov_cli.core.pixels.slides.scratch_pyramid import BAND_ROWS, build_pyramid
from medrov_cli.core.pixels.slides.tiff_level import PageLevel, segment_bytes
from medrov_cli.core.pixels.tiff_pages import (
    check_chain,
    count_colors,
    count_planes,
    find_alpha,
    full_pages,
    orientation_warnings,
)
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

_SEGMENT_BYTES = 256 * 1024**2
"""Largest decoded tile or strip."""

_UM_PER_UNIT = {"um": 1.0, "µm": 1.0, "\u03bcm": 1.0, "nm": 0.001, "mm": 1000.0, "cm": 10_000.0}
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}


def large_tiff_frames(path: str, options: ReadSettings) -> Iterator[Frame] | None:
    """Return the frames of a TIFF file with images that are read by regions; null for others.

    A frame is an 8-bit grey, palette or RGB image of more than `SLIDE_SIDE_PX` a side. Other images of that
    size are left to the reader of whole images if they are within its limit.

    Raises
    ------
    MedrovError
        ``UNSUPPORTED_FORMAT`` or ``TOO_LARGE`` for other images beyond that limit, ``TRUNCATED``.
    """
    silence_python()
    try:
        with _open(path) as tiff:
            is_large = any(_is_large(series.keyframe, options) for series in _image_series(tiff))
            images = _images(tiff)[0] if is_large else []
            if images:
                check_chain(tiff, options.limits, tiff.filehandle.size)
            is_stack = bool(images) and count_planes(tiff, full_pages(tiff), options.limits) > 1
    except Exception:  # noqa: BLE001 - the reader of all TIFF files says what is wrong
        return None
    error = (
        _unsupported() if is_stack else next(filter(None, (_error_of(image[0]) for image in images)), None)
    )
    if error is None:
        return _frames(path, options) if images else None
    if any(_pixels(image[0]) > options.limits.pixels_per_frame for image in images):
        raise error
    return None


def _open(path: str) -> tifffile.TiffFile:
    """Open a file; other files of an OME-TIFF set are inputs of their own."""
    return tifffile.TiffFile(path, _multifile=False)


def _is_slide(tiff: Any) -> bool:
    """Return whether a file is a pyramid, or has tiles: its other images may be labels and coarser levels."""
    return any(len(series.levels) > 1 for series in tiff.series) or bool(tiff.series[0].keyframe.is_tiled)


def _image_series(tiff: Any) -> Sequence[Any]:
    return [] if not tiff.series else tiff.series[:1] if _is_slide(tiff) else tiff.series


def _images(tiff: Any) -> tuple[list[list[Any]], int]:
    """Return the pages of each image, finest first, and the number of pages that are no part of them."""
    pages = full_pages(tiff)
    if not _is_slide(tiff):
        return [[page] for page in pages], 0
    levels = [[page.aspage() for page in level.pages if page is not None] for level in tiff.series[0].levels]
    images = [[level[at] for level in levels if len(level) > at] for at in range(len(levels[0]))]
    used = {page.offset for level in levels for page in level}
    return images, sum(page.offset not in used for page in pages)


def _pixels(page: Any) -> int:
    return int(page.imagelength) * int(page.imagewidth)


def _is_large(page: Any, options: ReadSettings) -> bool:
    is_long = max(page.imagelength, page.imagewidth) > SLIDE_SIDE_PX
    return is_long or _pixels(page) > options.limits.pixels_per_frame


def _frames(path: str, options: ReadSettings) -> Iterator[Frame]:
    index, count = 0, 1
    while index < count:
        tiff = _open(path)  # one for each image: it is closed with its reader
        try:
            images, others = _images(tiff)
            count = len(images)
            frame = _frame(path, tiff, images[index], index, count)
            if others:
                unread = f"Further pages of the pyramid or tiled file were not read ({others})."
                frame = replace(frame, warnings=(*frame.warnings, unread))
        except BaseException:
            tiff.close()
            raise
        yield whole_or_regions(frame, options)
        index += 1


def _frame(path: str, tiff: Any, pages: Sequence[Any], index: int, count: int) -> Frame:
    """Return one image of a file as a frame that is read by regions."""
    finest = pages[0]
    _require_whole(finest, tiff.filehandle.size)
    spacing_mm, warnings = _spacing(tiff, finest)
    frame = Frame.of_size(finest.imagelength, finest.imagewidth, path, index=index, frame_count=count)
    reader = _reader(tiff, [finest, *(page for page in pages[1:] if _error_of(page) is None)])
    _, channel_warnings = split_channels(np.empty((0, 0, finest.samplesperpixel)), *_channels(finest))
    warnings = (*orientation_warnings(finest), *channel_warnings, *warnings)
    return replace(frame, regions=reader, pixel_spacing_mm=spacing_mm, warnings=warnings)


def _channels(page: Any) -> tuple[int, list[bool]]:
    """Return the number of colours of a page, and of each further channel whether it is transparency."""
    return count_colors(page) or 0, find_alpha(page)


def _reader(tiff: Any, pages: Sequence[Any]) -> PyramidReader:
    """Return the reader of an image; strips without a pyramid are first copied to one on the disk."""
    lock = threading.Lock()
    finest = pages[0]
    if finest.is_tiled or len(pages) > 1:
        return PyramidReader([PageLevel(page, lock) for page in pages], files=(tiff,))
    level = PageLevel(finest, lock)
    bands = (
        level.read(0, top, finest.imagewidth, min(BAND_ROWS, finest.imagelength - top))
        for top in range(0, finest.imagelength, BAND_ROWS)
    )
    reader = build_pyramid(bands, finest.imagelength, finest.imagewidth)
    tiff.close()
    return reader


def _error_of(page: Any) -> MedrovError | None:
    """Return why a page cannot be read by regions; null if it can."""
    colors, alpha = _channels(page)
    is_plain = page.planarconfig == 1 or page.samplesperpixel == 1
    is_byte = page.dtype == np.uint8 and page.bitspersample == 8
    is_shown = page.samplesperpixel == 1 if colors == 1 else colors == 3 and len(alpha) <= 1
    if not (is_byte and is_shown and is_plain and page.imagedepth == 1):
        return _unsupported()
    if segment_bytes(page) > _SEGMENT_BYTES:
        return MedrovError(
            ErrorCode.TOO_LARGE, "The strips of the TIFF image are too large.", "Export it in tiles."
        )
    return None


def _unsupported() -> MedrovError:
    return MedrovError(
        ErrorCode.UNSUPPORTED_FORMAT,
        "A TIFF image of this size is read as 8-bit grey, palette or RGB alone.",
        "Export it as an 8-bit RGB pyramid.",
    )


def _require_whole(page: Any, end: int) -> None:
    """Check that the segments of a page lie in the file.

    Raises
    ------
    EOFError
        A segment lies beyond the end of the file.
    """
    segments = zip(page.dataoffsets, page.databytecounts, strict=False)
    last = max((offset + count for offset, count in segments if count), default=0)
    if last > end or not page.dataoffsets:
        raise EOFError


def _spacing(tiff: Any, page: Any) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Return the pixel spacing of OME metadata, else of the resolution tags of a page."""
    if tiff.is_ome:
        pixels = _ome_pixels(tiff.ome_metadata)
        if pixels is not None:
            return plausible_mpp(*pixels)
    unit = _UM_PER_RESOLUTION_UNIT.get(int(page.resolutionunit))
    if unit is None or not all(page.resolution):
        return None, ()
    return plausible_mpp(unit / page.resolution[0], unit / page.resolution[1])


def _ome_pixels(text: str | None) -> tuple[float, float] | None:
    """Return the micrometres per pixel, (x, y), of the first image of OME-XML."""
    try:
        document = tifffile.xml2dict(text or "")
        image = document["OME"]["Image"]
        pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
        scale = [_UM_PER_UNIT[pixels.get(f"PhysicalSize{axis}Unit", "um")] for axis in "XY"]
        return float(pixels["PhysicalSizeX"]) * scale[0], float(pixels["PhysicalSizeY"]) * scale[1]
    except Exception:  # noqa: BLE001 - foreign XML; without a size the spacing is unknown
        return None
