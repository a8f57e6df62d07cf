"""Start of frame of JPEG files, and their decoding by imagecodecs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.isolation import IsolatedError, decode_isolated
from medrov_cli.core.records.frame import UInt8Array

FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Second bytes of the start-of-frame markers (ITU-T T.81, B.1.1.3; 0xF7: JPEG-LS)."""

TAIL_BYTES = 64
"""Maximum distance of an end marker from the end of a file, before padding."""

_END_MARKER = b"\xff\xd9"
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_END = 0xD9
SCAN_MARKER = 0xDA
_LOSSLESS, _JPEG_LS = 0xC3, 0xF7


@dataclass(frozen=True, slots=True)
class JpegFrame:
    """Start of frame: its marker, bits per sample, size and number of components."""

    marker: int
    bits: int
    height: int
    width: int
    components: int

    @property
    def is_common(self) -> bool:
        """Return whether Pillow decodes the variant: 8 bits, with loss."""
        return self.bits == 8 and self.marker not in (_LOSSLESS, _JPEG_LS)


def start_of_frame(data: bytes) -> JpegFrame | None:
    """Return the first start of frame of a file; null if there is none."""
    for marker, at, _ in jpeg_segments(data):
        if marker == _END:
            return None
        if marker in FRAME_MARKERS and at + 10 <= len(data):
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            return JpegFrame(marker, bits, height, width, components)
    return None


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each marker segment up to the first scan (ITU-T T.81, B.1.1)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            end = at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])
            yield marker, at, end
            if marker == SCAN_MARKER:
                return
            at = end


def decode_whole(data: bytes) -> UInt8Array | None:
    """Return the pixels of a common JPEG file in grey or RGB, uint8, (height, width, 3).

    imagecodecs and Pillow have the same library and give equal pixels, also for damaged streams; imagecodecs
    is faster (docs/performance.md). The result is null where Pillow must decode: the file has no end marker,
    or imagecodecs refuses it.
    """
    import cv2
    import imagecodecs

    if _END_MARKER not in data[-TAIL_BYTES:]:
        return None
    try:
        values = np.asarray(imagecodecs.jpeg8_decode(data))
    except (RuntimeError, ValueError):
        return None
    if values.dtype != np.uint8 or values.ndim > 3:
        return None
    if values.ndim == 2:
        return np.asarray(cv2.cvtColor(values, cv2.COLOR_GRAY2RGB), np.uint8)
    return values if values.shape[2] == 3 else None


def decode_uncommon(data: bytes, frame: JpegFrame) -> Values:
    """Decode a JPEG of more than 8 bits, without loss, or a JPEG-LS file: (height, width[, components]).

    Raises
    ------
    MedrovError
        ``unsupported_format``, naming the variant.
    """
    samples = frame.height * frame.width * frame.components
    task = "jpegls" if frame.marker == _JPEG_LS else "jpeg"
    try:
        return decode_isolated(task, data, 4 * samples, samples).values
    except IsolatedError:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"The file is damaged, or a JPEG variant that is not supported ({frame.bits} bits per sample).",
            "Convert it to PNG.",
        ) from None
