"""Checks of compressed images against the header around them, before a decoder allocates by their sizes."""

from __future__ import annotations

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.jpeg import JpegFrame
from medrov_cli.core.pixels.jpeg2000_stream import find_codestream, is_whole

_LOSSLESS = frozenset({0xC3, 0xC7})
_JPEG_LS = 0xF7
_ARITHMETIC = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_RUN_BITS = 1 << 15
"""Samples that one bit of a JPEG-LS stream describes at most (ITU-T T.87, A.7)."""


def holds_jpeg(frame: JpegFrame, stream_bytes: int) -> bool:
    """Return whether a JPEG or JPEG-LS stream has at least the bits that its size needs.

    Huffman coding needs one bit for each block of 8 x 8 or, without loss, for each sample. JPEG-LS needs one
    bit for each line, and for each run.
    """
    bits, pixels = 8 * stream_bytes, frame.height * frame.width
    if frame.marker in _ARITHMETIC:
        return True
    if frame.marker in _LOSSLESS:
        return pixels <= bits
    if frame.marker == _JPEG_LS:
        return max(frame.height, pixels // _RUN_BITS) <= bits
    return -(-frame.height // 8) * -(-frame.width // 8) <= bits


def require_whole_jpeg(frame: JpegFrame, stream_bytes: int) -> None:
    """Refuse a JPEG stream that is too short for its size.

    Raises
    ------
    MedrovError
        ``truncated``.
    """
    if not holds_jpeg(frame, stream_bytes):
        raise too_short()


def require_whole_jpeg2000(data: bytes) -> None:
    """Refuse a JPEG 2000 stream whose tiles are not all there.

    Raises
    ------
    MedrovError
        ``truncated``.
    """
    start = find_codestream(data)
    if start is None or not is_whole(data, start):
        raise too_short()


def too_short() -> MedrovError:
    """Return the error for a compressed image that ends before its pixels."""
    return MedrovError(
        ErrorCode.TRUNCATED,
        "The compressed image ends before its pixels, or states a wrong size.",
        "Copy or export the file again.",
    )
