"""Whole slides by OpenSlide: SVS, NDPI, MRXS, SCN, BIF, VMS, and generic tiled TIFF.

Label and overview images are never read: they can show names. Nor is any property but the pixel size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import openslide

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.slides.pyramid import PyramidReader, plausible_mpp
from medrov_cli.core.records.frame import Frame, UInt8Array

_GENERIC = "generic-tiff"

_FLOATING = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of a slide."""

    slide: Any
    number: int
    size_hw: tuple[int, int]
    scale_xy: tuple[float, float]

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        """Return a region; what the slide does not contain is white."""
        place = round(left * self.scale_xy[0]), round(top * self.scale_xy[1])
        try:
            image = np.asarray(self.slide.read_region(place, self.number, (width, height)))
        except openslide.OpenSlideError:
            raise _damaged() from None
        colors, alpha = image[..., :3], image[..., 3:]
        if alpha.min() == 255:
            return np.ascontiguousarray(colors)
        share = alpha.astype(np.float32) / 255
        return np.asarray(np.rint(colors * share + 255 * (1 - share)), dtype=np.uint8)


def find_format(path: str, *, is_named: bool) -> str | None:
    """Return OpenSlide's name of the format of a file; null for files that are no slides.

    Raises
    ------
    MedrovError
        ``TRUNCATED`` for a file with the name of a slide (``is_named``) that is none: it is damaged, or parts
        are missing. Other readers would decode its label.
    """
    try:
        found: str | None = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        if is_named:
            raise _damaged() from None
        found = None
    if found is None and is_named:
        is_mirax = PurePath(path).suffix.casefold() == ".mrxs"
        what = "Its data files, in the folder of the same name, are missing." if is_mirax else ""
        raise MedrovError(
            ErrorCode.TRUNCATED,
            f"The file has the name of a slide, but is damaged or incomplete. {what}".strip(),
            "Copy the slide again, with all of its files.",
        )
    return found


def open_slide(path: str) -> Frame:
    """Return a slide as a frame that is read by regions.

    Raises
    ------
    MedrovError
        ``DECODE_FAILED`` or ``BAD_METADATA``.
    """
    try:
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideError:
        raise _damaged() from None
    width, height = slide.dimensions
    sizes = [(w, h) for w, h in slide.level_dimensions if w > 0 and h > 0]
    if not sizes or width < 1 or height < 1:
        raise MedrovError(ErrorCode.BAD_METADATA, "The slide has no pixels.", "Export it again.")
    levels = [_Level(slide, number, (h, w), (width / w, height / h)) for number, (w, h) in enumerate(sizes)]
    properties = slide.properties
    spacing_mm, warnings = plausible_mpp(
        _number(properties.get(openslide.PROPERTY_NAME_MPP_X)),
        _number(properties.get(openslide.PROPERTY_NAME_MPP_Y)),
    )
    is_slide = properties.get(openslide.PROPERTY_NAME_VENDOR) != _GENERIC
    frame = Frame.of_size(height, width, path, index=0, frame_count=1)
    regions = PyramidReader(levels, has_glass=is_slide, files=(slide,))
    return replace(frame, regions=regions, pixel_spacing_mm=spacing_mm, warnings=warnings)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _FLOATING.fullmatch(text) else None


def _damaged() -> MedrovError:
    return MedrovError(
        ErrorCode.DECODE_FAILED,
        "The slide is damaged or incomplete.",
        "Copy the slide again, with all of its files.",
    )
