"""Segmented palette color lookup tables (PS3.3, C.7.9.2).

pydicom 3.0 counts the entries in 8 bits if they have 8 bits, and takes the byte offset of an indirect segment
for a number of words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_MOST_ENTRIES = 1 << 16


def expand_segments(data: bytes, little_endian: bool, count: int, bits: int) -> npt.NDArray[np.uint16]:
    """Return the entries of a segmented table.

    Parameters
    ----------
    data
        Value of the element.
    little_endian
        Byte order of its words.
    count, bits
        Number of entries and bits of an entry, of the descriptor. Segments are in bytes if an entry has 8
        bits, else in words with byte offsets. Another reading counts if it alone gives that number: the other
        width, or offsets in words, which writers use that follow pydicom.

    Raises
    ------
    ValueError
        The segments are malformed.
    """
    words = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2" if little_endian else ">u2")
    as_bytes = words.astype("<u2").tobytes() + (data[-1:] if len(data) % 2 else b"")
    in_bytes, in_words = (as_bytes, 1, 1), (words.tolist(), 2, 2)
    readings: list[tuple[Sequence[int], int, int]] = [in_words, in_bytes, (in_words[0], 2, 1)]
    found: npt.NDArray[np.uint16] | None = None
    for values, size, unit in sorted(readings, key=lambda own: own[1] != (1 if bits == 8 else 2)):
        try:
            entries = _expand(values, size, unit)
        except IndexError:
            continue
        if len(entries) in (count, count + 1):
            return entries[:count]
        found = entries if found is None else found
    if found is None or not len(found):
        raise ValueError("segments")
    return found


def _expand(values: Sequence[int], size: int, unit: int) -> npt.NDArray[np.uint16]:
    """Expand segments of values of ``size`` bytes and ``unit`` of an offset; zeros after them are padding."""
    entries: list[int] = []
    at = 0
    while at + 2 < len(values) and len(entries) < _MOST_ENTRIES:
        if values[at] == _INDIRECT:
            width = 4 // size
            parts = values[at + 2 : at + 2 + width]
            offset = sum(part << (8 * size * place) for place, part in enumerate(parts)) // unit
            for _ in range(values[at + 1]):
                offset = _append(entries, values, offset)
            at += 2 + width
        else:
            at = _append(entries, values, at)
    return np.array(entries[:_MOST_ENTRIES], dtype=np.uint16)


def _append(entries: list[int], values: Sequence[int], at: int) -> int:
    """Append the entries of a discrete or linear segment; return where it ends.

    Raises
    ------
    IndexError
        The segment ends behind the data, or is none.
    """
    kind, length = values[at], values[at + 1]
    if kind == _DISCRETE and at + 2 + length <= len(values):
        entries.extend(values[at + 2 : at + 2 + length])
        return at + 2 + length
    if kind == _LINEAR and entries and length:
        first, last = entries[-1], values[at + 2]
        entries.extend(round(first + (last - first) * step / length) for step in range(1, length + 1))
        return at + 3
    raise IndexError
