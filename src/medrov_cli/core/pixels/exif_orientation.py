"""The orientation tag of image files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.sniff import Kind, sniff
from medrov_cli.core.records.orientation import UPRIGHT

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_TAG = 0x0112
_VALUES = range(1, 9)
_KINDS = (Kind.JPEG, Kind.PNG, Kind.TIFF, Kind.WEBP)


def read_orientation(path: Path) -> int:
    """Return the EXIF orientation of a file, 1 to 8.

    It is 1 where the file states none, or a value that is not defined. Only the header is read.
    """
    kind = sniff(str(path))
    if kind not in _KINDS:
        return UPRIGHT
    from PIL import JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    openers: dict[Kind, Callable[[BinaryIO], ImageFile]] = {  # not Image.open: other libraries replace it
        Kind.JPEG: JpegImagePlugin.JpegImageFile,
        Kind.PNG: PngImagePlugin.PngImageFile,
        Kind.TIFF: TiffImagePlugin.TiffImageFile,
        Kind.WEBP: WebPImagePlugin.WebPImageFile,
    }
    silence_python()
    try:
        with path.open("rb") as file, openers[kind](file) as image:
            value = image.getexif().get(_TAG, UPRIGHT)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, struct.error):
        return UPRIGHT
    return value if value in _VALUES else UPRIGHT
