"""Plug-in of pydicom for lossless JPEG and RLE by imagecodecs: several times as fast as the others.

docs/performance.md contains the measurements. The pixels are equal. HTJ2K is not decoded by imagecodecs,
which is faster there, too, but returns other pixels for damaged data without an error.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

PLUGIN = "imagecodecs"

_JPEG = frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1})
_MAX_SEGMENTS = 15

DECODER_DEPENDENCIES: dict[UID, tuple[str, ...]] = dict.fromkeys(
    (*sorted(_JPEG), uid.RLELossless), ("imagecodecs>=2024.9",)
)
"""Required packages, by transfer syntax; the name is pydicom's."""


def is_available(syntax: str) -> bool:
    """Return whether the plug-in decodes a transfer syntax; the name is pydicom's."""
    return syntax in DECODER_DEPENDENCIES and find_spec("imagecodecs") is not None


def decode_frame(data: bytes, runner: Any) -> bytearray:
    """Return the values of one frame, little endian.

    Parameters
    ----------
    data
        The compressed frame.
    runner
        pydicom's ``DecodeRunner``, whose options are set to the form of the values.

    Raises
    ------
    ValueError
        For data of another size; the exceptions of imagecodecs.
    """
    import imagecodecs

    if runner.transfer_syntax == uid.RLELossless:
        return _decode_rle(data, runner)
    color = "RGB" if runner.samples_per_pixel == 3 else None  # no conversion of colours
    values = np.ascontiguousarray(imagecodecs.jpeg8_decode(data, colorspace=color, outcolorspace=color))
    samples = runner.rows * runner.columns * runner.samples_per_pixel
    if values.size != samples or values.dtype.kind not in "iu":
        raise ValueError("the frame has another size than the header states")
    runner.set_option("bits_allocated", 8 * values.itemsize)
    runner.set_option("planar_configuration", 0)
    return bytearray(values.tobytes())


def _decode_rle(data: bytes, runner: Any) -> bytearray:
    """Return a frame of RLE segments, planar, each of one byte of the values (PS3.5, annex G)."""
    import imagecodecs

    samples, width = int(runner.samples_per_pixel), int(runner.bits_allocated) // 8
    pixels = int(runner.rows) * int(runner.columns)
    count, *offsets = struct.unpack("<16L", data[:64])
    if count != samples * width or count > _MAX_SEGMENTS:
        raise ValueError(f"{count} segments instead of {samples * width}")
    ends = [*offsets[1:count], len(data)]
    planes = np.empty((samples, pixels, width), np.uint8)
    for row, (start, end) in enumerate(zip(offsets, ends, strict=False)):
        segment = np.frombuffer(imagecodecs.packbits_decode(data[start:end]), np.uint8)
        if len(segment) < pixels:
            raise ValueError(f"a segment of {len(segment)} bytes instead of {pixels}")
        planes[row // width, :, width - 1 - row % width] = segment[:pixels]
    runner.set_option("planar_configuration", 1)
    return bytearray(planes.tobytes())


def register() -> None:
    """Add the plug-in to pydicom's decoders of this process."""
    for syntax in DECODER_DEPENDENCIES:
        decoder: Any = get_decoder(syntax)
        if PLUGIN not in decoder.available_plugins and is_available(syntax):
            decoder.add_plugin(PLUGIN, (__name__, decode_frame.__name__))


register()
