"""Reader of JPEG 2000: files (.jp2, .jpx, .jph) and codestreams (.j2k, .jpc), of 1 to 16 bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import read_whole, require_plausible, reserve
from medrov_cli.core.pixels.channels import count_images, render_all, spread_bits
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.image_size import check_size
from medrov_cli.core.pixels.isolation import decode_isolated
from medrov_cli.core.pixels.jpeg2000_stream import CODESTREAM, ImageSizes, read_sizes, walk_boxes
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.stream_size import require_whole_jpeg2000
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

_SYCC = 18
_GREY = 17
_DECODER_BYTES = 4
"""Bytes per sample inside OpenJPEG."""

_PILLOW_BYTES = 18
"""Bytes per pixel of an image of Pillow, its conversion to RGB, and the array."""


@dataclass(frozen=True, slots=True)
class _Header:
    """Size, components and colours of an image (ISO 15444-1, A.5.1 and annex I).

    Attributes
    ----------
    bits, is_signed
        Of the deepest component.
    is_subsampled
        Whether a component has fewer samples than the image.
    color_space
        Enumerated colour space; null if the file does not state one.
    has_palette
        Whether samples are indices.
    alpha
        Components that are declared as transparency.
    """

    height: int
    width: int
    components: int
    bits: int
    is_signed: bool
    is_subsampled: bool
    color_space: int | None
    has_palette: bool
    alpha: frozenset[int]

    @property
    def need_bytes(self) -> int:
        """Return what decoding and rendering allocate."""
        sample = _DECODER_BYTES + 4 * ((self.bits + 7) // 8)
        return self.height * self.width * (self.components * sample + _PILLOW_BYTES)


def read_jpeg2000(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the image of a file, or each of its channels; see `channels`.

    Raises
    ------
    MedrovError
        ``too_large`` by the size in the header, before decoding; ``decode_failed``.
    """
    silence_python()
    data = read_whole(path)
    header = _checked_header(data, options.limits)
    with reserve(header.need_bytes):
        values, colors, is_alpha = _decoded(data, header)
        count = count_images(colors, is_alpha)
        images = render_all(values, colors, is_alpha, options.window)
        for index, (pixels, window, warnings) in enumerate(images):
            yield Frame(pixels, path, index, count, window=window, warnings=warnings)


def read_values(path: str) -> Values:
    """Return the values of a file as they are stored, (height, width) or (height, width, components).

    Raises
    ------
    MedrovError
        As `read_jpeg2000`.
    """
    data = read_whole(path)
    header = _checked_header(data, InputLimits())
    with reserve(header.need_bytes):
        return _isolated(data, header)


def _checked_header(data: bytes, limits: InputLimits) -> _Header:
    header = _parse(data)
    check_size(header.height, header.width, limits)
    if header.height * header.width * header.components * _DECODER_BYTES > limits.inflated_bytes:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The JPEG 2000 image needs more than {limits.inflated_bytes} bytes.",
            "Crop or downsample it.",
        )
    require_plausible(header.height * header.width * header.components, len(data))
    require_whole_jpeg2000(data)
    return header


def _decoded(data: bytes, header: _Header) -> tuple[Values, int, list[bool]]:
    """Return values, the number of colours, and which further channels are transparency."""
    if header.bits <= 8 and (header.has_palette or header.is_subsampled or header.color_space == _SYCC):
        from PIL import Jpeg2KImagePlugin

        with Jpeg2KImagePlugin.Jpeg2KImageFile(BytesIO(data)) as image:
            has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return np.asarray(image.convert("RGBA" if has_alpha else "RGB")), 3, [True] * has_alpha
    values = _isolated(data, header)
    if header.is_signed and header.bits <= 8:
        values = (values.astype(np.int16) + (1 << (header.bits - 1))).astype(np.uint8)
    if not header.is_signed or header.bits <= 8:
        values = spread_bits(values, (1 << header.bits) - 1)
    if values.ndim == 2:
        return values, 1, []
    colors = 3 if values.shape[2] - len(header.alpha) >= 3 and header.color_space != _GREY else 1
    return values, colors, [at in header.alpha for at in range(colors, values.shape[2])]


def _isolated(data: bytes, header: _Header) -> Values:
    samples = header.height * header.width * header.components
    return decode_isolated("jpeg2000", data, header.need_bytes, samples).values


def _parse(data: bytes) -> _Header:
    try:
        color_space, has_palette, alpha, start = _boxes(data)
        return _sizes(data, start, color_space, has_palette, alpha)
    except (struct.error, IndexError):
        raise EOFError from None


def _sizes(
    data: bytes, start: int, color_space: int | None, has_palette: bool, alpha: frozenset[int]
) -> _Header:
    """Parse the SIZ marker, which follows the start of a codestream."""
    if data[start : start + 4] != CODESTREAM:
        raise MedrovError(
            ErrorCode.DECODE_FAILED, "The JPEG 2000 header is damaged.", "Copy or export the file again."
        )
    sizes: ImageSizes = read_sizes(data, start)
    samples, (height, width) = sizes.components, sizes.size_hw
    if not samples or not height or not width:
        raise MedrovError(ErrorCode.BAD_METADATA, "The image has no pixels.", "Export it again.")
    return _Header(
        height=height,
        width=width,
        components=len(samples),
        bits=max((depth & 0x7F) + 1 for depth, _, _ in samples),
        is_signed=any(depth & 0x80 for depth, _, _ in samples),
        is_subsampled=any(dx != 1 or dy != 1 for _, dx, dy in samples),
        color_space=color_space,
        has_palette=has_palette,
        alpha=alpha,
    )


def _boxes(data: bytes) -> tuple[int | None, bool, frozenset[int], int]:
    """Return colour space, presence of a palette, transparent components, and start of the codestream."""
    color_space, has_palette, alpha, start = None, False, frozenset[int](), 0
    for kind, at, end in walk_boxes(data, 0, len(data)):
        if kind == b"jp2c":
            start = at
            break
        for inner, inner_at, inner_end in walk_boxes(data, at, end) if kind == b"jp2h" else ():
            if inner == b"colr" and data[inner_at] == 1 and color_space is None:
                (color_space,) = struct.unpack_from(">I", data, inner_at + 3)
            elif inner == b"pclr":
                has_palette = True
            elif inner == b"cdef":
                places = range(inner_at + 2, inner_end - 5, 6)
                entries = [struct.unpack_from(">3H", data, place) for place in places]
                alpha = frozenset(channel for channel, use, _ in entries if use in (1, 2))
    return color_space, has_palette, alpha, start


READER: ImageReader = read_jpeg2000
