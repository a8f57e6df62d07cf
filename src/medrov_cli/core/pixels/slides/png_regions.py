"""Regions of PNG files that are too large to be decoded whole: rows are decoded in bands.

A band of inflated rows is a PNG file of its own, with the row before it as the first: so the filters of the
rows are undone by the library that decodes all other PNG files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import imagecodecs
import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.channels import ALPHA_WARNING
from medrov_cli.core.pixels.pillow_images import exif_warnings
from medrov_cli.core.pixels.png import SIGNATURE, is_animated, read_chunks
from medrov_cli.core.pixels.slides.pyramid import SLIDE_SIDE_PX, whole_or_regions
from medrov_cli.core.pixels.slides.scratch_pyramid import BAND_ROWS, build_pyramid
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.io_groups import ReadSettings

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""Channels by colour type: grey, RGB, and both with transparency."""
_WITH_ALPHA = frozenset({4, 6})

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Header:
    """Header of a PNG file."""

    width: int
    height: int
    color: int

    @property
    def row_bytes(self) -> int:
        """Return the bytes of an inflated row, with that of its filter."""
        return 1 + self.width * _CHANNELS[self.color]


def large_png_frames(path: str, options: ReadSettings) -> Iterator[Frame] | None:
    """Return the frame of a PNG file that is too large to be decoded whole; null for others.

    Raises
    ------
    MedrovError
        ``UNSUPPORTED_FORMAT`` for images of that size that are interlaced, animated, or not 8-bit grey or
        RGB.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        head = file.read(33)
    if len(head) < 33 or head[12:16] != b"IHDR":
        return None
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", head[16:29])
    limits = options.limits
    if max(width, height) <= SLIDE_SIDE_PX and width * height <= limits.pixels_per_frame:
        return None
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        chunks = read_chunks(file, (b"acTL", b"eXIf", b"tRNS"))
    if depth != 8 or color not in _CHANNELS or interlace or is_animated(chunks):
        if width * height <= limits.pixels_per_frame:
            return None
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "A PNG image of this size is read as 8-bit grey or RGB without interlacing and animation alone.",
            "Export it as a tiled TIFF.",
        )
    has_alpha = color in _WITH_ALPHA or b"tRNS" in chunks
    warnings = (*exif_warnings(chunks.get(b"eXIf", b"")), *((ALPHA_WARNING,) if has_alpha else ()))
    return _frames(path, _Header(width, height, color), warnings, options)


def _frames(path: str, header: _Header, warnings: tuple[str, ...], options: ReadSettings) -> Iterator[Frame]:
    frame = Frame.of_size(header.height, header.width, path, index=0, frame_count=1)
    if header.width * header.height > options.limits.pixels_per_slide:
        raise MedrovError(
            ErrorCode.TOO_LARGE, f"The image has {header.height} x {header.width} pixels.", "Divide it."
        )
    reader = build_pyramid(_bands(path, header), header.height, header.width)
    yield whole_or_regions(replace(frame, regions=reader, warnings=warnings), options)


def _bands(path: str, header: _Header) -> Iterator[UInt8Array]:
    """Yield the bands of an image.

    Raises
    ------
    EOFError
        The file ends before the last row.
    """
    rows = _rows(path, header)
    before = bytes(header.row_bytes)
    left = header.height
    while left:
        count = min(BAND_ROWS, left)
        filtered = b"".join(next(rows, b"") for _ in range(count))
        if len(filtered) < count * header.row_bytes:
            raise EOFError
        decoded = _decode(header, before + filtered, count + 1)
        before = b"\0" + decoded[-1].tobytes()
        yield _as_rgb(decoded[1:])
        left -= count


def _rows(path: str, header: _Header) -> Iterator[bytes]:
    """Yield the inflated rows of a file, filtered."""
    inflater = zlib.decompressobj()
    waiting = bytearray()
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        file.seek(len(SIGNATURE))
        for data in _image_data(file):
            rest = data
            while rest:
                waiting += inflater.decompress(rest, _READ_BYTES)
                rest = inflater.unconsumed_tail
                start = 0
                while len(waiting) - start >= header.row_bytes:
                    yield bytes(waiting[start : start + header.row_bytes])
                    start += header.row_bytes
                del waiting[:start]


def _image_data(file: BinaryIO) -> Iterator[bytes]:
    """Yield the parts of all IDAT chunks."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind != b"IDAT":
            file.seek(length + 4, 1)
            continue
        while length and (data := file.read(min(length, _READ_BYTES))):
            length -= len(data)
            yield data
        file.seek(4, 1)


def _decode(header: _Header, filtered: bytes, rows: int) -> UInt8Array:
    """Return the values of filtered rows, uint8, (rows, width, channels)."""
    size = struct.pack(">IIBBBBB", header.width, rows, 8, header.color, 0, 0, 0)
    parts = ((b"IHDR", size), (b"IDAT", zlib.compress(filtered, 0)), (b"IEND", b""))
    data = SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    decoded = np.asarray(imagecodecs.png_decode(data), dtype=np.uint8)
    return decoded.reshape(rows, header.width, _CHANNELS[header.color])


def _as_rgb(values: UInt8Array) -> UInt8Array:
    colors = values[..., :3] if values.shape[2] >= 3 else values[..., :1]
    return np.ascontiguousarray(np.broadcast_to(colors, (*values.shape[:2], 3)))
