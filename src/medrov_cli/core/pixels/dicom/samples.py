"""Samples of DICOM pixels in their words: unused bits, left-aligned samples, sign (PS3.5, 8.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.pixels.greyscale import Values

HIGH_BIT_WARNING = "High Bit contradicts Bits Stored; Bits Stored - 1 was used."

_OVERSHOOT = 1 / 16
"""Part of the range by which lossy compression may exceed the largest sample; beyond it, a bit is set."""


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """Position of a sample in its word.

    Attributes
    ----------
    allocated
        Bits of a word in the header.
    stored
        Bits of a sample.
    high_bit
        Number of its highest bit.
    signed
        Whether samples are in two's complement.
    """

    allocated: int
    stored: int
    high_bit: int
    signed: bool

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest sample."""
        half = 1 << (self.stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)

    def extract(self, words: Values, precision: int | None = None, *, lossy: bool = False) -> Values:
        """Return the samples of words, without bits of overlays or noise.

        Parameters
        ----------
        words
            Integers of any shape, of which only the bits count.
        precision
            Bits per sample in a compressed stream; null: words have `allocated` bits. A stream of fewer bits
            than `high_bit` needs contains the samples alone.
        lossy
            Whether samples may exceed the range a little; they are then clipped.

        Returns
        -------
        ndarray
            Signed or unsigned integers of at least `stored` bits.
        """
        size = self.allocated if precision is None else precision
        is_whole_word = size > self.high_bit
        shift = self.high_bit + 1 - self.stored if is_whole_word else 0
        bits = self.stored if is_whole_word else min(size, self.stored)
        width = words.dtype.itemsize * 8
        native = words.astype(words.dtype.newbyteorder("="), copy=False)
        unsigned = native.view(f"u{width // 8}")
        mask = (1 << bits) - 1
        if lossy and not self.signed and shift == 0 and _exceeds_slightly(unsigned, mask):
            clipped: Values = np.minimum(unsigned, mask)
            return clipped
        if shift or bits < width:
            unsigned = (unsigned >> shift) & mask
        if not self.signed:
            return unsigned
        signed = unsigned.view(f"i{width // 8}")
        up = width - bits
        return (signed << up) >> up if up else signed

    def extract_one(self, value: float) -> float:
        """Return one whole word of the header, such as the padding value, as the sample that it becomes."""
        low, high = self.range
        if low <= value <= high or value != int(value):
            return value
        word = np.array([int(value) & ((1 << self.allocated) - 1)], dtype=np.uint64)
        return float(self.extract(word)[0])


def _exceeds_slightly(unsigned: Values, full: int) -> bool:
    largest = int(unsigned.max()) if unsigned.size else 0
    return full < largest <= full + full * _OVERSHOOT


def layout_of(
    allocated: int, stored: int | None, high_bit: int | None, *, signed: bool
) -> tuple[SampleLayout, tuple[str, ...]]:
    """Return the layout that a header states, and a warning if a part of it was repaired.

    Bits Stored above Bits Allocated, or missing, is Bits Allocated.
    """
    bits = stored if stored is not None and 1 <= stored <= allocated else allocated
    if high_bit is None:
        return SampleLayout(allocated, bits, bits - 1, signed), ()
    if bits - 1 <= high_bit < allocated:
        return SampleLayout(allocated, bits, high_bit, signed), ()
    return SampleLayout(allocated, bits, bits - 1, signed), (HIGH_BIT_WARNING,)
