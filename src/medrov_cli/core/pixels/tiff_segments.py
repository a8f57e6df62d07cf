"""Sizes of the compressed images in the strips and tiles of a TIFF page, before they are decoded.

A decoder allocates by the size in the code stream, not by that of the strip or tile.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

import tifffile

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.jpeg import start_of_frame
from medrov_cli.core.pixels.jpeg2000_stream import find_codestream, read_sizes
from medrov_cli.core.pixels.png import SIGNATURE

_HEAD_BYTES = 1 << 16
_Size = tuple[int, int, int | None]
"""Height, width, and number of components; null: not in the header."""

_JXR_WIDTH, _JXR_HEIGHT, _JXR_OFFSET = 0xBC80, 0xBC81, 0xBCC0
_JXR_SIGNATURE = b"WMPHOTO\0"
_JXR_SHORT = 0x80


def check_segments(file: BinaryIO, page: tifffile.TiffPage) -> None:
    """Refuse a page with a strip or tile whose compressed image is larger than it.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    size_of = _SIZES.get(int(page.compression))
    if size_of is None:
        return
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    height, width = min(rows, _padded(page.imagelength)), page.tilewidth if page.is_tiled else page.imagewidth
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if not count:
            continue
        file.seek(offset)
        size = _parsed(size_of, file.read(min(count, _HEAD_BYTES)))
        components = 0 if size is None or size[2] is None else size[2]
        if size is None or size[0] > height or size[1] > _padded(width) or components > page.samplesperpixel:
            raise MedrovError(
                ErrorCode.BAD_METADATA,
                "A strip or tile of the TIFF file contains a compressed image of another size.",
                "Export the file again.",
            )


def _padded(size: int) -> int:
    """Return a size in whole blocks of JPEG with subsampled colours."""
    return -(-size // 32) * 32


def _parsed(size_of: Callable[[bytes], _Size | None], data: bytes) -> _Size | None:
    try:
        return size_of(data)
    except (struct.error, IndexError):
        return None


def _jpeg_size(data: bytes) -> _Size | None:
    frame = start_of_frame(data)
    return None if frame is None else (frame.height, frame.width, frame.components)


def _jpeg2000_size(data: bytes) -> _Size | None:
    start = find_codestream(data)
    if start is None:
        return None
    sizes = read_sizes(data, start)
    return (*sizes.size_hw, len(sizes.components))


def _jpegxr_size(data: bytes) -> _Size | None:
    """Return the larger of the sizes of the container and of the stream in it (ITU-T T.832, A.7 and 8.3)."""
    if data[:4] != b"II\xbc\x01":
        return None
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    tags: dict[int, int] = {}
    for number in range(count):
        tag, kind, _, value = struct.unpack_from("<HHII", data, directory + 2 + 12 * number)
        tags[tag] = value & 0xFFFF if kind == 3 else value
    start = tags[_JXR_OFFSET] if _JXR_OFFSET in tags else data.find(_JXR_SIGNATURE)
    if data[start : start + 8] != _JXR_SIGNATURE:
        return None
    form = ">HH" if data[start + 10] & _JXR_SHORT else ">II"
    width, height = struct.unpack_from(form, data, start + 12)
    return max(height + 1, tags.get(_JXR_HEIGHT, 0)), max(width + 1, tags.get(_JXR_WIDTH, 0)), None


def _webp_size(data: bytes) -> _Size | None:
    """Return the size of the first chunk of a WebP file (RFC 9649)."""
    kind, body = data[12:16], 20
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[body + at : body + at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[body + 1 : body + 5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, body + 6))
    else:
        return None
    return height, width, None


def _png_size(data: bytes) -> _Size | None:
    if not data.startswith(SIGNATURE):
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return height, width, None


_SIZES: dict[int, Callable[[bytes], _Size | None]] = {
    **dict.fromkeys((7, 33007, 34892), _jpeg_size),
    **dict.fromkeys((33003, 33004, 33005, 34712), _jpeg2000_size),
    **dict.fromkeys((22610, 34934), _jpegxr_size),
    **dict.fromkeys((34927, 50001), _webp_size),
    34933: _png_size,
}
"""Parsers by the value of the tag Compression."""
