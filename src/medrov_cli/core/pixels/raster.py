"""Reader of PNG, JPEG, WebP, BMP and GIF.

Pixels are read as stored, so that boxes refer to the pixel grid of the file: an EXIF orientation is not
applied, with a warning. An alpha channel is removed. Eight-bit images keep their values; 16-bit PNGs are
scaled between percentiles of their values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.deep import deep_to_rgb
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.sniff import Kind
from medrov_cli.core.records.frame import Frame, UInt8Array, Window
from medrov_cli.core.settings.window import WindowKind, WindowSpec

_OPENERS: dict[Kind, Callable[[BytesIO], ImageFile]] = {
    Kind.PNG: PngImagePlugin.PngImageFile,
    Kind.JPEG: JpegImagePlugin.JpegImageFile,
    Kind.WEBP: WebPImagePlugin.WebPImageFile,
    Kind.BMP: BmpImagePlugin.BmpImageFile,
    Kind.GIF: GifImagePlugin.GifImageFile,
}
"""Pillow reader of each kind, which reads only the header until pixels are requested."""

_EXIF_ORIENTATION = 0x0112

EXIF_WARNING = "The EXIF orientation was not applied: boxes refer to the pixels as they are stored."
ALPHA_WARNING = "The transparency of the image was left out."
WINDOW_WARNING = "A window does not apply to an 8-bit image and was ignored."


def read_raster(path: str, kind: Kind, spec: WindowSpec, limits: InputLimits) -> Iterator[Frame]:
    """Yield the image of a file, or each frame of an animated one.

    Raises
    ------
    MedrovError
        ``too_large`` by the size in the header, before decoding; ``truncated``; ``decode_failed``.
    """
    silence_python()
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        data = file.read()
    if _ends_early(kind, data):
        raise EOFError
    if kind is Kind.PNG and _png_bit_depth(data) == 16:
        yield _deep_png(path, data, spec, limits)
        return
    with _opened(kind, data) as image:
        check_size(image.height, image.width, limits)
        count = int(getattr(image, "n_frames", 1))
        if count > limits.frames:
            raise MedrovError(
                ErrorCode.TOO_LARGE,
                f"The file has {count} frames; the limit is {limits.frames}.",
                "Split the animation.",
            )
        for index in range(count):
            pixels = _decoded(image, index)
            yield Frame(pixels, path, index, count, window=Window("none"), warnings=_warnings(image, spec))


def check_size(height: int, width: int, limits: InputLimits) -> None:
    """Check that the size in a header is not empty and within the limits.

    Raises
    ------
    MedrovError
        ``too_large`` or ``bad_metadata``.
    """
    if height < 1 or width < 1:
        raise MedrovError(ErrorCode.BAD_METADATA, "The image has no pixels.", "Export it again.")
    if height * width > limits.pixels_per_frame:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The image has {height} x {width} pixels; the limit is {limits.pixels_per_frame} pixels.",
            "Crop it into tiles or downsample it.",
        )


def _ends_early(kind: Kind, data: bytes) -> bool:
    """Return whether the file is truncated by its own structure: no final chunk, or below its size field."""
    if kind is Kind.PNG:
        return data.rfind(b"IEND") < 0
    return kind is Kind.WEBP and struct.unpack("<I", data[4:8])[0] + 8 > len(data)


def _opened(kind: Kind, data: bytes) -> ImageFile:
    try:
        return _OPENERS[kind](BytesIO(data))
    except (SyntaxError, OSError, ValueError, struct.error, IndexError):
        raise MedrovError(
            ErrorCode.DECODE_FAILED,
            f"The {kind.value} header is damaged or incomplete.",
            "Copy or export the file again.",
        ) from None


def _decoded(image: ImageFile, index: int) -> UInt8Array:
    try:
        if index:
            image.seek(index)
        image.load()
    except OSError as error:
        if "truncated" in str(error) and image.format != "PNG":  # Pillow has no exception class for this
            raise EOFError from None
        raise
    return np.ascontiguousarray(image.convert("RGB"), dtype=np.uint8)


def _warnings(image: ImageFile, spec: WindowSpec) -> tuple[str, ...]:
    warnings = []
    if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        warnings.append(EXIF_WARNING)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        warnings.append(ALPHA_WARNING)
    if spec.kind is not WindowKind.AUTO:
        warnings.append(WINDOW_WARNING)
    return tuple(warnings)


def _png_bit_depth(data: bytes) -> int:
    """Return bits per channel, the ninth byte of the IHDR chunk, which is the first chunk."""
    return data[24] if len(data) > 24 else 0


def _deep_png(path: str, data: bytes, spec: WindowSpec, limits: InputLimits) -> Frame:
    import imagecodecs

    if data[12:16] != b"IHDR":
        raise MedrovError(ErrorCode.DECODE_FAILED, "The PNG header is damaged.", "Export the file again.")
    width, height = struct.unpack(">II", data[16:24])
    check_size(height, width, limits)
    values = imagecodecs.png_decode(data)
    alpha = values.ndim == 3 and values.shape[2] in (2, 4)
    if alpha:
        values = values[:, :, :-1]
    pixels, window, warnings = deep_to_rgb(values, spec)
    return Frame(pixels, path, window=window, warnings=(*warnings, *([ALPHA_WARNING] if alpha else [])))
