"""Pixels of the image files of a dataset, as stored."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.quiet import silence_opencv
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.sniff import Kind, sniff_head
from medrov_cli.core.records.frame import UInt8Array

_HEAD_BYTES = 25
_DEPTH_BYTE = 24  # offset of the bits per channel in the first chunk of a PNG


def stored_pixels(path: Path) -> UInt8Array | None:
    """Return the stored pixels of a file, uint8, (h, w, 3), RGB; null if it cannot be read.

    Images of 8 bits are unchanged; deeper PNGs, and TIFFs, are converted to 8 bits as in ``detect``. An EXIF
    orientation is not applied.
    """
    silence_opencv()
    try:
        if _may_be_deep(path):  # OpenCV would keep only the high byte of a value
            return next(iter(read_frames(str(path)))).pixels_rgb
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, MedrovError, cv2.error):  # cv2.error: above OpenCV's size limit
        return None
    return None if image is None else np.asarray(image, dtype=np.uint8)


def _may_be_deep(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    kind = sniff_head(head)
    return kind is Kind.TIFF or (kind is Kind.PNG and head[_DEPTH_BYTE:] == b"\x10")
