"""Removal of everything but the pixels from PNG and JPEG files, without a change of the pixels.

EXIF, XMP, comments, text chunks, colour profiles, thumbnails and bytes after the image may contain the name
of a patient. No library removes them without decoding the image or keeping some of them.
"""

from __future__ import annotations

import struct
import zlib

from medrov_cli.core.pixels.png import SIGNATURE

_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS"})

_SOI = b"\xff\xd8"
_EOI, _SOS, _JPEG_LS, _COMMENT = 0xD9, 0xDA, 0xF7, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_RESTARTS = range(0xD0, 0xD8)
_WITHOUT_LENGTH = (0x01, *_RESTARTS)
_JFIF, _ADOBE, _HP_COLOR = b"JFIF\0", b"Adobe", b"mrfx"
_JFIF_BYTES, _ADOBE_BYTES, _HP_COLOR_BYTES = 14, 12, 5


def without_metadata(data: bytes) -> bytes | None:
    """Return a PNG or JPEG file with the parts that its pixels need alone.

    The EXIF orientation is removed, too: the pixels stay as they are stored.

    Returns
    -------
    bytes or null
        The file; null if it is neither, or its structure is not understood.
    """
    try:
        if data.startswith(SIGNATURE):
            return _pixel_chunks(data)
        return _pixel_segments(data) if data.startswith(_SOI) else None
    except (ValueError, IndexError, struct.error):
        return None


def _pixel_chunks(data: bytes) -> bytes:
    parts, at = [SIGNATURE], len(SIGNATURE)
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind == b"IEND":
            break
        if end > len(data):
            raise ValueError("the file ends early")
        if kind in _PIXEL_CHUNKS:
            parts.append(data[at:end])
        at = end
    return b"".join((*parts, b"\0\0\0\0IEND", struct.pack(">I", zlib.crc32(b"IEND"))))


def _pixel_segments(data: bytes) -> bytes:
    """Return the segments and scans up to the end of the image (ITU-T T.81, B.1.1)."""
    parts, at, is_jpeg_ls = [_SOI], 2, False
    while True:
        at = data.index(b"\xff", at)  # bytes before a marker are ignored, as libjpeg does
        while data[at + 1] == 0xFF:
            at += 1
        marker = data[at + 1]
        if marker == _EOI:
            parts.append(data[at : at + 2])
            return b"".join(parts)
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        if marker < 0xC0:
            raise ValueError("not a marker")
        end = at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        if end > len(data):
            raise ValueError("the file ends early")
        parts.append(_needed_part(marker, data[at:end]))
        is_jpeg_ls |= marker == _JPEG_LS
        at = end
        if marker == _SOS:
            at = _end_of_scan(data, end, is_jpeg_ls)
            parts.append(data[end:at])


def _needed_part(marker: int, segment: bytes) -> bytes:
    """Return the part of a segment that decides on the pixels, also by the colour space."""
    if marker == _COMMENT:
        return b""
    if marker not in _APPLICATION:
        return segment
    content = segment[4:]
    if marker == 0xE0 and content.startswith(_JFIF) and len(content) >= _JFIF_BYTES:
        kept = content[: _JFIF_BYTES - 2] + b"\0\0"  # without the thumbnail
    elif marker == 0xEE and content.startswith(_ADOBE) and len(content) >= _ADOBE_BYTES:
        kept = content[:_ADOBE_BYTES]
    elif marker == 0xE8 and content.startswith(_HP_COLOR) and len(content) >= _HP_COLOR_BYTES:
        kept = content[:_HP_COLOR_BYTES]
    else:
        return b""
    return segment[:2] + struct.pack(">H", len(kept) + 2) + kept


def _end_of_scan(data: bytes, at: int, is_jpeg_ls: bool) -> int:
    """Return the place of the first marker after coded data; in JPEG-LS, FFh may precede bytes below 80h."""
    while True:
        at = data.index(b"\xff", at)
        following = data[at + 1]
        is_coded = following < 0x80 if is_jpeg_ls else following == 0
        if not is_coded and following not in _RESTARTS:
            return at
        at += 2
