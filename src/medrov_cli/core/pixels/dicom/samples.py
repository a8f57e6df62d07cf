"""Samples of DICOM pixels in their words: unused bits, left-aligned samples, sign (PS3.5, 8.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.pixels.greyscale import Values

HIGH_BIT_WARNING = "High Bit contradicts Bits Stored; Bits Stored - 1 was used."

WIDE_STREAM_WARNING = (
    "The compressed samples have more bits than Bits Allocated has room for; all of their bits were used."
)

_OVERSHOOT = 1 / 2
"""Part of the range by which lossy compression may leave it; beyond it, an overlay or a flag is set."""


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
            Whether samples may leave the range a little, below or above; they are then clipped.

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
        if lossy and is_whole_word and not shift:
            whole = _sign_extended(unsigned, size) if self.signed else unsigned
            if _exceeds_slightly(whole, *self.range):
                clipped: Values = np.clip(whole, *self.range)
                return clipped
        if shift or bits < width:
            unsigned = (unsigned >> shift) & ((1 << bits) - 1)
        return _sign_extended(unsigned, bits) if self.signed else unsigned

    def extract_one(self, value: float) -> float:
        """Return one whole word of the header, such as the padding value, as the sample that it becomes."""
        low, high = self.range
        if low <= value <= high or value != int(value):
            return value
        word = np.array([int(value) & ((1 << self.allocated) - 1)], dtype=np.uint64)
        return float(self.extract(word)[0])


def _sign_extended(unsigned: Values, bits: int) -> Values:
    width = unsigned.dtype.itemsize * 8
    signed = unsigned.view(f"i{width // 8}")
    up = width - bits
    return (signed << up) >> up if up > 0 else signed


def _exceeds_slightly(values: Values, low: int, high: int) -> bool:
    """Return whether values leave a range by little, and not all of them: those have a flag in common."""
    if not values.size:
        return False
    smallest, largest = int(values.min()), int(values.max())
    excess = max(low - smallest, largest - high)
    return 0 < excess <= (high - low) * _OVERSHOOT and smallest <= high and low <= largest


def wide_layout(layout: SampleLayout, precision: int) -> SampleLayout:
    """Return the layout of a stream whose samples have more bits than the words of the header."""
    return SampleLayout(16 if precision <= 16 else 32, precision, precision - 1, layout.signed)


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
