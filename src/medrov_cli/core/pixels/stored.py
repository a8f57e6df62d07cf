"""Pixels of the image files of a dataset, as stored."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.frame import UInt8Array


def stored_pixels(path: Path) -> UInt8Array | None:
    """Return the stored pixels of a file, uint8, (h, w, 3), RGB; null if it cannot be read completely.

    They are those of ``detect``: images of 8 bits are unchanged, deeper ones are converted to 8 bits, and an
    EXIF orientation is not applied.
    """
    try:
        return next(iter(read_frames(path))).pixels_rgb
    except MedrovError:
        return None
