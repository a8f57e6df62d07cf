"""Properties of JPEG, JPEG-LS, JPEG 2000 and RLE streams from their headers, without decoding."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom import uid
from pydicom.uid import UID

from medrov_cli.core.pixels.jpeg import FRAME_MARKERS, SCAN_MARKER, JpegFrame, jpeg_segments
from medrov_cli.core.pixels.jpeg2000_stream import (
    CODESTREAM,
    FILE_START,
    find_codestream,
    is_whole,
    read_sizes,
)
from medrov_cli.core.pixels.stream_size import holds_jpeg

HEAD_BYTES = 1 << 16
"""Bytes at the start of a stream that contain its header, except for large application segments."""

_LOSSY_MARKERS = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Start-of-frame markers of the processes by cosine transform."""

_JPEG = b"\xff\xd8"
_APP0, _APP14, _JPEG_LS = 0xE0, 0xEE, 0xF7

_LOSSLESS_JPEG2000 = (
    *(uid.JPEG2000Lossless, uid.JPEG2000MCLossless),
    *(uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL),
)

_FAMILIES: dict[str, tuple[UID, ...]] = {
    "jpeg": (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit),
    "jpeg lossless": (uid.JPEGLosslessSV1, uid.JPEGLossless),
    "jpeg-ls": (uid.JPEGLSLossless, uid.JPEGLSNearLossless),
    "jpeg 2000": (
        *(uid.JPEG2000Lossless, uid.JPEG2000, uid.JPEG2000MCLossless, uid.JPEG2000MC),
        *(uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K),
    ),
    "rle": (uid.RLELossless,),
}
"""Kinds of streams and the transfer syntaxes that contain them."""


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """Header of a compressed image.

    Attributes
    ----------
    kind
        ``jpeg`` (DCT), ``jpeg lossless``, ``jpeg-ls`` or ``jpeg 2000``.
    size_hw
        Height, width.
    precision
        Bits per sample.
    components
        Number of components.
    signed
        Whether a JPEG 2000 stream has signed samples.
    lossy
        Whether the process can exceed the range of the samples.
    is_rgb
        Whether its own markers say that three components are RGB; null: they say nothing.
    """

    kind: str
    size_hw: tuple[int, int]
    precision: int
    components: int
    signed: bool = False
    lossy: bool = False
    is_rgb: bool | None = None


def starts_frame(head: bytes) -> bool:
    """Return whether bytes are the start of a JPEG, JPEG-LS or JPEG 2000 image."""
    return head.startswith((_JPEG, CODESTREAM, FILE_START))


def is_rle(head: bytes) -> bool:
    """Return whether bytes are the start of an RLE frame: a header of 64 bytes (PS3.5, G.5)."""
    if len(head) < 64:
        return False
    count, *offsets = struct.unpack("<16I", head[:64])
    used, rest = offsets[: min(count, 15)], offsets[min(count, 15) :]
    return 1 <= count <= 15 and used[0] == 64 and used == sorted(used) and not any(rest)


def stream_syntax(head: bytes, stated: UID) -> UID:
    """Return the stated transfer syntax, or that of the stream if its first bytes contradict it."""
    header = read_stream_header(head)
    kind = header.kind if header is not None else "rle" if is_rle(head) else None
    if kind is None or stated in _FAMILIES[kind]:
        return stated
    if kind == "jpeg" and header is not None and header.precision > 8:
        return uid.JPEGExtended12Bit
    return _FAMILIES[kind][0]


def read_stream_header(data: bytes) -> StreamHeader | None:
    """Return the header of a JPEG, JPEG-LS or JPEG 2000 stream; null for other or damaged data."""
    try:
        if data.startswith(_JPEG):
            return _jpeg_header(data)
        at = find_codestream(data) if data.startswith((CODESTREAM, FILE_START)) else None
        return None if at is None else _j2k_header(data[at:])
    except (struct.error, IndexError):
        return None


def _jpeg_header(data: bytes) -> StreamHeader | None:
    adobe: int | None = None
    is_jfif = False
    is_near = False
    frame: tuple[int, int, int, int, bytes] | None = None
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if marker in FRAME_MARKERS and len(body) >= 6:
            precision, height, width, count = struct.unpack(">BHHB", body[:6])
            frame = marker, precision, height, width, body[6 : 6 + 3 * count : 3]
        elif marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        elif marker == _APP0 and body[:5] == b"JFIF\0":
            is_jfif = True
        elif marker == SCAN_MARKER and frame is not None and frame[0] == _JPEG_LS:
            is_near = body[1 + 2 * body[0]] > 0  # NEAR (ITU-T T.87, C.2.3)
    if frame is None:
        return None
    marker, precision, height, width, ids = frame
    is_dct = marker in _LOSSY_MARKERS
    kind = "jpeg" if is_dct else "jpeg-ls" if marker == _JPEG_LS else "jpeg lossless"
    is_rgb = _jpeg_is_rgb(ids, adobe, is_jfif and is_dct) if len(ids) == 3 else None
    return StreamHeader(kind, (height, width), precision, len(ids), lossy=is_dct or is_near, is_rgb=is_rgb)


def _jpeg_is_rgb(ids: bytes, adobe: int | None, is_jfif: bool) -> bool | None:
    """Return what the markers say: an Adobe segment (ITU-T T.872), the components, JFIF (ITU-T T.871)."""
    if adobe in (0, 1):
        return adobe == 0
    if ids.upper() == b"RGB":
        return True
    return False if is_jfif else None


def _j2k_header(data: bytes) -> StreamHeader:
    """Read SIZ and COD of a codestream (ITU-T T.800, A.5.1 and A.6.1)."""
    sizes = read_sizes(data, 0)
    count, depth = len(sizes.components), sizes.components[0][0] if sizes.components else 0
    transformed, reversible = False, True
    at = 4 + struct.unpack(">H", data[4:6])[0]
    while at + 4 <= min(len(data), HEAD_BYTES) and data[at] == 0xFF and data[at + 1] not in (0x90, 0x93):
        if data[at + 1] == 0x52 and at + 14 <= len(data):
            transformed, reversible = data[at + 8] == 1, data[at + 13] == 1
            break
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return StreamHeader(
        "jpeg 2000",
        sizes.size_hw,
        (depth & 0x7F) + 1,
        count,
        signed=bool(depth & 0x80),
        lossy=not reversible,
        is_rgb=True if transformed and count == 3 else None,
    )


def may_overshoot(header: StreamHeader, syntax: UID, lossy_compression: object) -> bool:
    """Return whether decoded samples can leave their range.

    A JPEG 2000 stream of the lossless transform may be cut to a rate, unless its transfer syntax or the
    header (Lossy Image Compression) says that it is not.
    """
    if header.kind != "jpeg 2000" or header.lossy:
        return header.lossy
    return syntax not in _LOSSLESS_JPEG2000 and lossy_compression != "00"


def holds_pixels(data: bytes, header: StreamHeader) -> bool:
    """Return whether a whole stream can hold the pixels of its header; false if it ends before them."""
    if header.kind == "jpeg 2000":
        start = find_codestream(data)
        return start is not None and is_whole(data, start)
    for marker, at, end in jpeg_segments(data):
        if marker in FRAME_MARKERS:
            frame = JpegFrame(marker, header.precision, *header.size_hw, header.components)
            if not holds_jpeg(frame, len(data) - at):
                return False
        if marker == SCAN_MARKER:
            return end < len(data)
    return False


def without_color_markers(data: bytes) -> bytes:
    """Return a JPEG stream whose markers say nothing about its colours, so that no decoder converts them."""
    pieces, at = [data[:2]], 2
    for marker, start, end in jpeg_segments(data):
        segment = data[start:end]
        at = end
        if marker in (_APP0, _APP14):
            continue
        if marker in FRAME_MARKERS or marker == SCAN_MARKER:
            segment = _with_plain_ids(segment, marker == SCAN_MARKER, _ids(data))
        pieces.append(segment)
    return b"".join([*pieces, data[at:]])


def _ids(data: bytes) -> bytes:
    """Return the component identifiers of the frame header."""
    for marker, start, end in jpeg_segments(data):
        if marker in FRAME_MARKERS:
            return data[start + 10 : end : 3]
    return b""


def _with_plain_ids(segment: bytes, is_scan: bool, ids: bytes) -> bytes:
    changed = bytearray(segment)
    first, step = (5, 2) if is_scan else (10, 3)
    for number in range(segment[4] if is_scan else len(ids)):
        place = first + step * number
        changed[place] = ids.index(changed[place]) + 1
    return bytes(changed)
