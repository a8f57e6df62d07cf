"""Files opened by Pillow: header, frames as RGB, and warnings; used here and in decoder processes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    features,
)
from PIL.ImageFile import ImageFile

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.channels import ALPHA_WARNING
from medrov_cli.core.pixels.sniff import Kind
from medrov_cli.core.records.frame import UInt8Array

_OPENERS: dict[Kind, Callable[[BytesIO], ImageFile]] = {
    Kind.PNG: PngImagePlugin.PngImageFile,
    Kind.JPEG: JpegImagePlugin.JpegImageFile,
    Kind.WEBP: WebPImagePlugin.WebPImageFile,
    Kind.AVIF: AvifImagePlugin.AvifImageFile,
    Kind.BMP: BmpImagePlugin.BmpImageFile,
    Kind.GIF: GifImagePlugin.GifImageFile,
}
"""Pillow reader of each kind, which reads only the header until pixels are requested."""

_EXIF_ORIENTATION = 0x0112

DAMAGED_EXIF_WARNING = "The EXIF data are damaged and were not read."
EXIF_WARNING = "The EXIF orientation was not applied: boxes refer to the pixels as they are stored."


def _heic_opener() -> Callable[[BytesIO], ImageFile]:
    """Return the reader of pillow-heif, which is optional: its wheels contain GPL libraries."""
    try:
        opener: Callable[[BytesIO], ImageFile] = import_module("pillow_heif").HeifImageFile
    except ImportError:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "HEIC images need a decoder that is not installed.",
            "Install medrov[heic], or convert the file to JPEG or PNG.",
        ) from None
    return opener


def open_image(kind: Kind, data: bytes) -> ImageFile:
    """Open a file: Pillow reads only its header until pixels are requested.

    Raises
    ------
    MedrovError
        ``unsupported_format``, ``decode_failed``.
    """
    if kind is Kind.AVIF and not features.check("avif"):
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT, "This build of Pillow does not decode AVIF.", "Convert it to PNG."
        )
    opener = _heic_opener() if kind is Kind.HEIC else _OPENERS[kind]
    try:
        return opener(BytesIO(data))
    except (SyntaxError, OSError, ValueError, struct.error, IndexError):
        raise MedrovError(
            ErrorCode.DECODE_FAILED,
            f"The {kind.value} header is damaged or incomplete.",
            "Copy or export the file again.",
        ) from None


def decode_frame(image: ImageFile, index: int) -> UInt8Array:
    """Return a frame, uint8, (height, width, 3); frames are decoded in their order.

    Raises
    ------
    EOFError
        The file ends early.
    """
    try:
        if index:
            image.seek(index)
        image.load()
    except OSError as error:
        if "truncated" in str(error) and image.format != "PNG":  # Pillow has no exception class for this
            raise EOFError from None
        raise
    return np.ascontiguousarray(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def image_warnings(image: ImageFile) -> tuple[str, ...]:
    """Return the warnings about an image: EXIF orientation, damaged EXIF data, a removed alpha channel."""
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    return (*_orientation_warnings(image.getexif), *((ALPHA_WARNING,) if has_alpha else ()))


def exif_warnings(data: bytes) -> tuple[str, ...]:
    """Return the warnings about the content of an EXIF chunk; none if it is empty."""
    exif = Image.Exif()

    def load() -> Image.Exif:
        exif.load(data)
        return exif

    return _orientation_warnings(load) if data else ()


def _orientation_warnings(load: Callable[[], Image.Exif]) -> tuple[str, ...]:
    try:
        return () if load().get(_EXIF_ORIENTATION, 1) == 1 else (EXIF_WARNING,)
    except (SyntaxError, struct.error, ValueError, KeyError, IndexError):
        return (DAMAGED_EXIF_WARNING,)


def decode_image(data: bytes, options: Mapping[str, Any]) -> tuple[UInt8Array, Mapping[str, Any]]:
    """Return the first image of a file, with its warnings."""
    with open_image(Kind(options["kind"]), data) as image:
        return decode_frame(image, 0), {"warnings": image_warnings(image)}


def decode_images(data: bytes, options: Mapping[str, Any]) -> Iterator[tuple[UInt8Array, Mapping[str, Any]]]:
    """Yield an empty array with what the header states, then each frame with its warnings."""
    with open_image(Kind(options["kind"]), data) as image:
        count = int(getattr(image, "n_frames", 1))
        stated = {"height": image.height, "width": image.width, "mode": image.mode, "count": count}
        yield np.empty(0, np.uint8), stated
        for index in range(count):
            pixels = decode_frame(image, index)
            yield pixels, {"warnings": image_warnings(image)}
