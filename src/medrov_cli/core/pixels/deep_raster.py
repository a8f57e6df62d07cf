"""Raster images that Pillow does not decode: PNG of 16 bits, and uncommon JPEG."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.image_size import check_size
from medrov_cli.core.pixels.jpeg import decode_uncommon, start_of_frame
from medrov_cli.core.pixels.sniff import Kind
from medrov_cli.core.pixels.stream_size import require_whole_jpeg

_VALUE_BYTES = 24
"""Bytes per pixel that scaling of deep values needs, with the RGB image."""

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels of the colour types of PNG."""


class DeepSize(NamedTuple):
    """Size of an image that Pillow does not decode."""

    height: int
    width: int
    channels: int

    @property
    def need_bytes(self) -> int:
        """Return what decoding and scaling allocate."""
        return self.height * self.width * (self.channels * 6 + _VALUE_BYTES)


def deep_size(kind: Kind, data: bytes, limits: InputLimits) -> DeepSize | None:
    """Return the size of what Pillow does not decode: 16-bit PNG, and uncommon JPEG; null for others."""
    if kind is Kind.PNG and _png_bit_depth(data) == 16:
        if data[12:16] != b"IHDR":
            raise MedrovError(ErrorCode.DECODE_FAILED, "The PNG header is damaged.", "Export the file again.")
        width, height, color = struct.unpack(">IIxB", data[16:26])
        check_size(height, width, limits)
        return DeepSize(height, width, _PNG_CHANNELS.get(color, 4))
    frame = start_of_frame(data) if kind is Kind.JPEG else None
    if frame is None:
        return None
    check_size(frame.height, frame.width, limits)
    require_whole_jpeg(frame, len(data))
    return None if frame.is_common else DeepSize(frame.height, frame.width, frame.components)


def decode_deep(kind: Kind, data: bytes) -> Values:
    """Decode what Pillow does not: (height, width) or (height, width, channels)."""
    if kind is Kind.PNG:
        import imagecodecs

        return np.asarray(imagecodecs.png_decode(data))
    frame = start_of_frame(data)
    if frame is None:
        raise EOFError
    return decode_uncommon(data, frame)


def _png_bit_depth(data: bytes) -> int:
    """Return bits per channel, the ninth byte of the IHDR chunk, which is the first chunk."""
    return data[24] if len(data) > 24 else 0
