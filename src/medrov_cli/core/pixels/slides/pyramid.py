"""Reader of regions from the levels of a pyramid."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import reserve
from medrov_cli.core.pixels.channels import WINDOW_WARNING
from medrov_cli.core.pixels.image_size import check_size
from medrov_cli.core.pixels.input_errors import input_errors
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.records.image_regions import resize
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import WindowKind

READ_PIXELS = 4_000_000
"""Largest number of pixels of a level that are decoded at once; a larger region is scaled in parts."""

_REGION_BYTES = 16
"""Bytes per pixel of a region: RGBA, its parts as RGB, and float copies where a slide has no pixels."""

_RESULT_BYTES = 6
"""Bytes per pixel of a scaled region and its copy."""

SLIDE_SIDE_PX = 8000
"""Longer side above which an image that is no slide is read by regions; see ``AUTO_SIDE_PX`` of the tiles."""

MPP_RANGE = (0.02, 20.0)
"""Micrometres per pixel that a slide can have; others are an error of the file (72 dpi is 353)."""

WRONG_MPP_WARNING = "The size of the pixels in the file is not that of a slide, and was ignored."


class SlideLevel(Protocol):
    """One resolution of a pyramid; may be used by several threads."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Return height and width in its own pixels."""

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        """Return a region inside the level, in its own pixels, uint8, (height, width, 3)."""


class Closable(Protocol):
    """Open file."""

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True)
class PyramidReader:
    """Reader of regions; see :class:`medrov_cli.core.records.image_regions.RegionReader`.

    At most ``READ_PIXELS`` of a level, or one row of the result, are in memory for each thread. They are
    reserved in the budget.

    Attributes
    ----------
    levels
        Resolutions, finest first.
    has_glass
        Whether it is a bright-field slide.
    files
        Files that are closed with the reader.
    """

    levels: Sequence[SlideLevel]
    has_glass: bool = False
    files: Sequence[Closable] = ()

    def __post_init__(self) -> None:
        """Close the files when the reader is no longer used."""
        for file in self.files:
            weakref.finalize(self, file.close)

    def read(self, box_xyxy: tuple[int, int, int, int], size_hw: tuple[int, int]) -> UInt8Array:
        """Return a part of the image, scaled to a size."""
        left, top, right, bottom = box_xyxy
        level, scale_y, scale_x = self._level(min((bottom - top) / size_hw[0], (right - left) / size_hw[1]))
        height, width = level.size_hw
        x1 = min(round(left * scale_x), width - 1)
        y1 = min(round(top * scale_y), height - 1)
        x2, y2 = (
            max(min(round(right * scale_x), width), x1 + 1),
            max(min(round(bottom * scale_y), height), y1 + 1),
        )
        pixels = min((x2 - x1) * (y2 - y1), max(READ_PIXELS, x2 - x1))
        need_bytes = pixels * _REGION_BYTES + size_hw[0] * size_hw[1] * _RESULT_BYTES
        with input_errors(), reserve(need_bytes, waits=False):
            if (x2 - x1) * (y2 - y1) <= READ_PIXELS:
                return resize(level.read(x1, y1, x2 - x1, y2 - y1), size_hw)
            return _read_in_parts(level, (x1, y1, x2, y2), size_hw)

    def _level(self, downsample: float) -> tuple[SlideLevel, float, float]:
        """Return the coarsest level that is not coarser than needed, and its scale in rows and columns."""
        full_height, full_width = self.levels[0].size_hw
        found = self.levels[0]
        for level in self.levels:
            if full_width / level.size_hw[1] <= downsample * 1.01:
                found = level
        return found, found.size_hw[0] / full_height, found.size_hw[1] / full_width


def _read_in_parts(level: SlideLevel, box: tuple[int, int, int, int], size_hw: tuple[int, int]) -> UInt8Array:
    """Return a region that is scaled by bands of rows."""
    x1, y1, x2, y2 = box
    scaled = np.empty((*size_hw, 3), dtype=np.uint8)
    rows = max(1, int(READ_PIXELS / ((x2 - x1) * (y2 - y1)) * size_hw[0]))
    for start in range(0, size_hw[0], rows):
        end = min(start + rows, size_hw[0])
        upper, lower = (y1 + (y2 - y1) * row // size_hw[0] for row in (start, end))
        band = level.read(x1, upper, x2 - x1, max(lower - upper, 1))
        scaled[start:end] = resize(band, (end - start, size_hw[1]))
    return scaled


def plausible_mpp(
    mpp_x: float | None, mpp_y: float | None
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Return the pixel spacing (rows, columns) in mm, and a warning if no slide can have it."""
    if mpp_x is None or mpp_y is None:
        return None, ()
    low, high = MPP_RANGE
    if low <= mpp_x <= high and low <= mpp_y <= high:
        return (mpp_y / 1000, mpp_x / 1000), ()
    return None, (WRONG_MPP_WARNING,)


def whole_or_regions(frame: Frame, options: ReadSettings) -> Frame:
    """Return a frame that is read by regions, or decoded whole if the options do not ask for regions.

    Raises
    ------
    MedrovError
        ``TOO_LARGE`` if the whole image exceeds the limits; an input code.
    """
    if options.window.kind is not WindowKind.AUTO:
        frame = replace(frame, warnings=(*frame.warnings, WINDOW_WARNING))
    frame = replace(frame, window=Window("none"))
    if options.by_region:
        if frame.width * frame.height > options.limits.pixels_per_slide:
            raise MedrovError(
                ErrorCode.TOO_LARGE,
                f"The image has {frame.height} x {frame.width} pixels; "
                f"the limit is {options.limits.pixels_per_slide}.",
                "Export a coarser level.",
            )
        return frame
    check_size(frame.height, frame.width, options.limits)
    whole = frame.read_region((0, 0, frame.width, frame.height), (frame.height, frame.width))
    return replace(frame, pixels_rgb=np.ascontiguousarray(whole), regions=None)
