"""Header of a WebP file (RFC 9649), read without its decoder."""

from __future__ import annotations

import struct
from typing import NamedTuple

_LEAST_BYTES = 30
_ALPHA_FLAG = 0x10
_ANIMATION_FLAG = 0x02


class WebpHeader(NamedTuple):
    """What the header of a WebP file states; the size is zero if it is damaged.

    The decoder allocates the canvas before it reports its size.
    """

    height: int = 0
    width: int = 0
    has_alpha: bool = True
    is_animated: bool = True


def read_webp_header(data: bytes) -> WebpHeader:
    """Return the header of a file."""
    chunk = data[12:16]
    if len(data) < _LEAST_BYTES:
        return WebpHeader()
    if chunk == b"VP8X":
        height, width = (1 + int.from_bytes(data[at : at + 3], "little") for at in (27, 24))
        return WebpHeader(height, width, bool(data[20] & _ALPHA_FLAG), bool(data[20] & _ANIMATION_FLAG))
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return WebpHeader(1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF), bool(bits >> 28 & 1), False)
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return WebpHeader(height & 0x3FFF, width & 0x3FFF, False, False)
    return WebpHeader()
