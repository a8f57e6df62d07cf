"""Brush regions of Label Studio: RGBA pixels as run lengths of bits, of which alpha is the mask.

The stream has the number of values (32 bits), the bits of a value less one (5), and four run sizes in bits
less one (4 each). Then follow runs: a bit that states whether all values of the run are equal, the index of
its size (2), its length less one, and one value or all of them. Label Studio's own decoder is not installed
with the package.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_CHANNELS = 4
_ALPHA = 3


class _Bits:
    """Reader of big-endian bits."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, count: int) -> int:
        first, last = self._at // 8, (self._at + count + 7) // 8
        if last > len(self._data):
            raise ValueError("the run lengths are cut off")
        value = int.from_bytes(self._data[first:last], "big")
        self._at += count
        return (value >> (last * 8 - self._at)) & ((1 << count) - 1)


def decode_brush(values: Sequence[int], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the mask of a brush region, bool, (height, width).

    Parameters
    ----------
    values
        The bytes of ``rle``.
    height, width
        Of the image.

    Raises
    ------
    ValueError
        The stream is cut off, or is of another size.
    """
    bits = _Bits(bytes(values))
    count = bits.read(32)
    if count != height * width * _CHANNELS:
        raise ValueError("the mask has another size than the image")
    value_bits = bits.read(5) + 1
    run_bits = [bits.read(4) + 1 for _ in range(4)]
    pixels = np.zeros(count, dtype=np.int64)
    at = 0
    while at < count:
        is_constant = bits.read(1)
        end = at + 1 + bits.read(run_bits[bits.read(2)])
        if end > count:
            raise ValueError("a run ends behind the last pixel")
        if is_constant:
            pixels[at:end] = bits.read(value_bits)
        else:
            pixels[at:end] = [bits.read(value_bits) for _ in range(at, end)]
        at = end
    return pixels.reshape(height, width, _CHANNELS)[..., _ALPHA] > 0
