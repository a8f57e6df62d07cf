"""Regions of large TIFF files: OME-TIFF and other pyramids, tiles, strips."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tifffile

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import reserve
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.slides.pyramid import (
    SLIDE_SIDE_PX,
    PyramidReader,
    plausible_mpp,
    whole_or_regions,
)
from medrov_cli.core.pixels.slides.scratch_pyramid import BAND_ROWS, build_pyramid
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.io_groups import ReadSettings

_SEGMENT_BYTES = 256 * 1024**2
"""Largest decoded tile or strip."""

_DECODING_COPIES = 2

_UM_PER_UNIT = {"um": 1.0, "µm": 1.0, "\u03bcm": 1.0, "nm": 0.001, "mm": 1000.0, "cm": 10_000.0}
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}


def large_tiff_frames(path: str, options: ReadSettings) -> Iterator[Frame] | None:
    """Return the frames of a TIFF file whose images are too large to be decoded whole; null for others.

    Each image of the finest level is a frame: 8-bit grey or RGB.

    Raises
    ------
    MedrovError
        ``UNSUPPORTED_FORMAT`` for other images of that size, ``TOO_LARGE``, ``TRUNCATED``.
    """
    silence_python()
    try:
        tiff = tifffile.TiffFile(path)
    except Exception:  # noqa: BLE001 - the reader of all TIFF files says what is wrong
        return None
    with_pages = tiff.series[0] if tiff.series else None
    page = None if with_pages is None else with_pages.levels[0].keyframe
    is_large = page is not None and _is_large(page, options)
    tiff.close()
    return _frames(path, options) if is_large else None


def _is_large(page: Any, options: ReadSettings) -> bool:
    height, width = int(page.imagelength), int(page.imagewidth)
    return max(height, width) > SLIDE_SIDE_PX or height * width > options.limits.pixels_per_frame


def _frames(path: str, options: ReadSettings) -> Iterator[Frame]:
    index, count = 0, 1
    while index < count:
        tiff = tifffile.TiffFile(path)  # one for each image: it is closed with its reader
        try:
            images = [page for page in tiff.series[0].levels[0].pages if page is not None]
            count = len(images)
            frame = _frame(path, tiff, images[index].aspage(), index, count)
        except BaseException:
            tiff.close()
            raise
        yield whole_or_regions(frame, options)
        index += 1


def _frame(path: str, tiff: Any, finest: Any, index: int, count: int) -> Frame:
    """Return one image of a file as a frame that is read by regions."""
    _check(finest, tiff.filehandle.size)
    coarser = [level.pages for level in tiff.series[0].levels[1:]]
    pages = [finest, *(own[index].aspage() for own in coarser if len(own) > index)]
    spacing_mm, warnings = _spacing(tiff)
    frame = Frame.of_size(finest.imagelength, finest.imagewidth, path, index=index, frame_count=count)
    reader = _reader(tiff, pages)
    return replace(frame, regions=reader, pixel_spacing_mm=spacing_mm, warnings=warnings)


def _reader(tiff: Any, pages: Sequence[Any]) -> PyramidReader:
    """Return the reader of an image; strips without a pyramid are first copied to one on the disk."""
    lock = threading.Lock()
    finest = pages[0]
    if finest.is_tiled or len(pages) > 1:
        return PyramidReader([_PageLevel(page, lock) for page in pages], files=(tiff,))
    level = _PageLevel(finest, lock)
    bands = (
        level.read(0, top, finest.imagewidth, min(BAND_ROWS, finest.imagelength - top))
        for top in range(0, finest.imagelength, BAND_ROWS)
    )
    reader = build_pyramid(bands, finest.imagelength, finest.imagewidth)
    tiff.close()
    return reader


def _check(page: Any, end: int) -> None:
    """Check that a page can be read by regions, and that its segments lie in the file."""
    is_plain = page.planarconfig == 1 or page.samplesperpixel == 1
    if (
        page.dtype != np.uint8
        or page.samplesperpixel not in (1, 3, 4)
        or not is_plain
        or page.imagedepth != 1
    ):
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "A TIFF image of this size is read as 8-bit grey or RGB alone.",
            "Export it as an 8-bit RGB pyramid.",
        )
    if segment_bytes(page) > _SEGMENT_BYTES:
        raise MedrovError(
            ErrorCode.TOO_LARGE, "The strips of the TIFF image are too large.", "Export it in tiles."
        )
    last = max(
        (
            offset + count
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
            if count
        ),
        default=0,
    )
    if last > end or not page.dataoffsets:
        raise EOFError


def segment_bytes(page: Any) -> int:
    """Return the bytes of a decoded tile or strip of 8 bits."""
    rows, columns = (
        (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    )
    return int(min(rows, page.imagelength) * columns * page.samplesperpixel)


@dataclass(frozen=True)
class _PageLevel:
    """Page of a TIFF file as a level; segments are decoded on request."""

    page: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Return height and width."""
        return self.page.imagelength, self.page.imagewidth

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        """Return a region; segments without data are white."""
        page = self.page
        rows, columns = (
            (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        )
        rows = min(rows, page.imagelength)
        across = -(-page.imagewidth // columns)
        found = np.full((height, width, page.samplesperpixel), 255, dtype=np.uint8)
        for row in range(top // rows, (top + height - 1) // rows + 1):
            for column in range(left // columns, (left + width - 1) // columns + 1):
                segment = self._kept_segment(row * across + column)
                if segment is None:
                    continue
                y, x = row * rows, column * columns
                y1, x1 = max(y, top), max(x, left)
                y2 = min(y + segment.shape[0], top + height)
                x2 = min(x + segment.shape[1], left + width)
                found[y1 - top : y2 - top, x1 - left : x2 - left] = segment[y1 - y : y2 - y, x1 - x : x2 - x]
        return _as_rgb(page, found)

    def _kept_segment(self, number: int) -> np.ndarray | None:
        """Return a segment; the last strip is kept, because a strip can have more rows than a band."""
        if self.page.is_tiled:
            return self._segment(number)
        if number not in self.kept:
            found = self._segment(number)
            self.kept.clear()
            if found is None:
                return None
            self.kept[number] = found
        return self.kept[number]

    def _segment(self, number: int) -> np.ndarray | None:
        page = self.page
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        if not count:
            return None
        with self.lock:
            file = page.parent.filehandle
            file.seek(offset)
            data = file.read(count)
        if len(data) < count:
            raise EOFError
        with reserve(count + _DECODING_COPIES * segment_bytes(page), waits=False):
            decoded = page.decode(data, number, jpegtables=page.jpegtables)[0]
        return None if decoded is None else np.asarray(decoded[0])


def _as_rgb(page: Any, values: np.ndarray) -> UInt8Array:
    if values.shape[2] >= 3:
        return np.ascontiguousarray(values[..., :3])
    grey = 255 - values if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else values
    return np.ascontiguousarray(np.broadcast_to(grey, (*grey.shape[:2], 3)))


def _spacing(tiff: Any) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Return the pixel spacing of OME metadata, else of the resolution tags."""
    if tiff.is_ome:
        pixels = _ome_pixels(tiff.ome_metadata)
        if pixels is not None:
            return plausible_mpp(*pixels)
    page = tiff.series[0].levels[0].keyframe
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
