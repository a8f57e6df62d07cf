"""What the directories of a TIFF file state: pages, planes, colours, transparency, orientation."""

from __future__ import annotations

import struct

import numpy as np
import tifffile

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.records.frame import UInt8Array

_BIG_TIFF = 43
_ORIENTATION = 274
_TURNED = range(2, 9)
"""Values of the tag Orientation other than that of pixels as they are stored (TIFF 6.0, page 36)."""

ORIENTATION_WARNING = (
    "The orientation of the TIFF page was not applied: boxes refer to the pixels as they are stored."
)

_COLORS: dict[int, int] = {
    tifffile.PHOTOMETRIC.MINISBLACK: 1,
    tifffile.PHOTOMETRIC.MINISWHITE: 1,
    tifffile.PHOTOMETRIC.PALETTE: 1,
    tifffile.PHOTOMETRIC.RGB: 3,
}
"""Channels of the supported photometric interpretations, without extra channels."""

_JPEG_COMPRESSIONS = frozenset({6, 7, 33003, 33005, 33007, 34892})
"""Compressions whose decoders return RGB for YCbCr: JPEG, and the JPEG 2000 variants of microscopes."""


def check_chain(tiff: tifffile.TiffFile, limits: InputLimits, end: int) -> None:
    """Check the chain of page directories: tifffile ignores one beyond the end of the file.

    Raises
    ------
    MedrovError
        ``too_large`` for more pages than the limit, and for a circle.
    EOFError
        A directory lies beyond the end of the file.
    """
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


def full_pages(tiff: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """Return the pages of a file, without reduced copies and masks."""
    pages = [page.aspage() for page in tiff.pages]
    return [page for page in pages if not (page.is_reduced or page.is_mask)]


def count_planes(tiff: tifffile.TiffFile, pages: list[tifffile.TiffPage], limits: InputLimits) -> int:
    """Return how many planes follow each other where the only directory describes the first; 1 for others.

    A description that cannot be read, or that was copied from a stack to one of its planes, states nothing:
    nothing lies then between the first plane and the directory or the end of the file.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    page = pages[0]
    is_stack = tiff.is_imagej or tiff.is_shaped or tiff.is_stk
    if len(pages) > 1 or not is_stack or not page.is_contiguous or page.dtype is None or not page.size:
        return 1
    start = page.dataoffsets[0] + page.nbytes
    if (page.offset if page.offset >= start else tiff.filehandle.size) <= start + 1:  # + 1: an even length
        return 1
    try:
        if tiff.is_imagej:
            planes = int((tiff.imagej_metadata or {}).get("images", 1))
        else:
            planes = tiff.series[0].size // page.size
    except Exception:  # noqa: BLE001 - tifffile parses the description of any program
        return 1
    if planes > limits.frames:
        raise MedrovError(
            ErrorCode.TOO_LARGE, f"The file has {planes} planes; the limit is {limits.frames}.", "Divide it."
        )
    return max(planes, 1)


def orientation_warnings(page: tifffile.TiffPage) -> tuple[str, ...]:
    """Return a warning if the page states another orientation than that of its rows and columns."""
    tag = page.tags.get(_ORIENTATION)
    return () if tag is None or tag.value not in _TURNED else (ORIENTATION_WARNING,)


def count_colors(page: tifffile.TiffPage) -> int | None:
    """Return the number of channels that are colours; null if they are not supported."""
    photometric = int(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.YCBCR and int(page.compression) in _JPEG_COMPRESSIONS:
        return 3
    return _COLORS.get(photometric)


def find_alpha(page: tifffile.TiffPage) -> list[bool]:
    """Return whether each channel beside the colours is declared as transparency (ExtraSamples 1, 2)."""
    extra = page.samplesperpixel - (count_colors(page) or page.samplesperpixel)
    declared = [int(value) in (1, 2) for value in page.extrasamples]
    return [*declared, *[False] * extra][:extra]


def look_up_palette(page: tifffile.TiffPage, indices: Values) -> UInt8Array:
    """Return the colours of palette indices, (height, width): the high byte of the 16-bit TIFF palette."""
    colormap = np.asarray(page.colormap)  # (3, entries)
    table = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8)
    return np.ascontiguousarray(table.T[np.minimum(indices, table.shape[1] - 1)])
