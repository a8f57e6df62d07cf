"""Choice of the images that are read by regions: slides, and images beyond what is decoded whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from medrov_cli.core.pixels.sniff import Kind
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

SUFFIXES = frozenset({".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu"})
"""Endings of names that only slides have."""

_GENERIC = ("generic-tiff", "dicom")
"""Formats of OpenSlide that other programs write as well; here they have readers of their own."""


def frames_by_regions(path: str, kind: Kind | None, options: ReadSettings) -> Iterator[Frame] | None:
    """Return the frames of a slide or of a very large image; null for files that other readers read.

    Parameters
    ----------
    path
        An existing file that is not in an archive.
    kind
        Its kind by content, other than DICOM; null for an unknown one.
    options
        Settings of reading: without ``by_region`` a slide is decoded whole, and no other image is read here.

    Raises
    ------
    MedrovError
        An input code, for damaged slides.
    """
    is_named = PurePath(path).suffix.casefold() in SUFFIXES
    if kind is Kind.TIFF or is_named:
        from medrov_cli.core.pixels.slides.openslide_file import find_format, open_slide
        from medrov_cli.core.pixels.slides.pyramid import whole_or_regions

        vendor = find_format(path, is_named=is_named)
        if vendor is not None and vendor not in _GENERIC:
            return iter((whole_or_regions(open_slide(path), options),))
    if kind is Kind.TIFF and options.by_region:
        from medrov_cli.core.pixels.slides.tiff_regions import large_tiff_frames

        return large_tiff_frames(path, options)
    if kind is Kind.PNG and options.by_region:
        from medrov_cli.core.pixels.slides.png_regions import large_png_frames

        return large_png_frames(path, options)
    return None
