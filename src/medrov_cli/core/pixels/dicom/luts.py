"""Lookup tables and windows of DICOM headers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataelem import RawDataElement

from medrov_cli.core.pixels.dicom.elements import as_signed, has_value, numbers, read_numbers
from medrov_cli.core.pixels.dicom.segmented_tables import expand_segments
from medrov_cli.core.pixels.greyscale import LookupTable, VoiFunction

BAD_VOI_WARNING = "A window of the file is invalid and was ignored."
VOI_FUNCTION_WARNING = "The VOI LUT Function of the file is unknown; its windows are taken for linear."
LUT_BITS_WARNING = (
    "The descriptor of a lookup table contradicts its entries; their number of bits was computed from them."
)
SHORT_LUT_WARNING = (
    "A lookup table has fewer entries than its descriptor states; values beyond it have its last entry."
)

Range = tuple[float, float]
"""Smallest and largest possible input of a lookup table."""

_MALFORMED = (TypeError, ValueError, AttributeError, KeyError, IndexError)


@dataclass(frozen=True, slots=True)
class VoiView:
    """One window or VOI lookup table of a file.

    Attributes
    ----------
    number
        Its number in the file, from 1, tables first; invalid ones count.
    table
        Table of the VOI LUT Sequence; the other attributes are then not used.
    center, width, function
        Of the window, in the units after the modality LUT.
    """

    number: int
    table: LookupTable | None = None
    center: float = 0.0
    width: float = 1.0
    function: VoiFunction = VoiFunction.LINEAR


@dataclass(frozen=True, slots=True)
class ReadTable:
    """Lookup table of a header, and warnings about its repair."""

    table: LookupTable
    warnings: tuple[str, ...] = ()


def views_of(
    dataset: pydicom.Dataset, little_endian: bool, inputs: Range
) -> tuple[tuple[VoiView, ...], tuple[str, ...]]:
    """Return the valid VOI tables and windows of a dataset, tables first, and warnings.

    Parameters
    ----------
    dataset
        The header, or the item of a Frame VOI LUT Sequence.
    little_endian, inputs
        As for `lookup_table`.
    """
    views: list[VoiView] = []
    warnings: tuple[str, ...] = ()
    tables = list(dataset.get("VOILUTSequence") or ())
    for number, item in enumerate(tables, 1):
        try:
            found = lookup_table(item, little_endian, inputs)
        except _MALFORMED:
            continue
        views.append(VoiView(number, table=found.table))
        warnings += found.warnings
    name = str(dataset.get("VOILUTFunction") or VoiFunction.LINEAR).strip(" \0").upper()
    is_known = name in set(VoiFunction)
    function = VoiFunction(name) if is_known else VoiFunction.LINEAR
    centers = read_numbers(dataset, "WindowCenter").components
    pairs = list(zip(centers, read_numbers(dataset, "WindowWidth").components, strict=False))
    views.extend(
        VoiView(number, center=center, width=width, function=function)
        for number, (center, width) in enumerate(pairs, len(tables) + 1)
        if center is not None and width is not None and width > 0
    )
    malformed = not pairs and (has_value(dataset, "WindowCenter") or has_value(dataset, "WindowWidth"))
    if malformed or len(views) < len(tables) + len(pairs):
        warnings += (BAD_VOI_WARNING,)
    return tuple(views), warnings if is_known else (*warnings, VOI_FUNCTION_WARNING)


def lookup_table(item: pydicom.Dataset, little_endian: bool, inputs: Range, prefix: str = "") -> ReadTable:
    """Return LUT Descriptor and LUT Data of a sequence item (PS3.3, C.11.1.1.1 and C.11.2.1.1).

    The first mapped value has the sign with which the table covers more of its inputs: its value
    representation is often wrong. The bits are those of the descriptor, unless an entry needs more, or
    the descriptor states the 16 bits of storage and no entry has a bit in the upper half of their range.

    Parameters
    ----------
    item
        Of a Modality LUT or VOI LUT Sequence, or a header with a palette.
    little_endian
        Byte order of entries of two bytes.
    inputs
        Range of the values that the table is applied to.
    prefix
        Of the keywords: empty for a LUT, ``RedPaletteColorLookupTable`` for the red palette, which may be
        segmented.

    Raises
    ------
    ValueError
        A part is missing or malformed.
    """
    names = (f"{prefix}Descriptor", f"{prefix}Data") if prefix else ("LUTDescriptor", "LUTData")
    descriptor = [int(number) for number in numbers(item, names[0])]
    count = descriptor[0] & 0xFFFF or 1 << 16
    first = min((descriptor[1], int(as_signed(descriptor[1], 16, descriptor[1] >= 0))),
                key=lambda start: -_covered(start, count, inputs))  # fmt: skip
    segmented = f"Segmented{names[1]}"
    if prefix and segmented in item:
        entries = expand_segments(*_data_of(item, segmented, little_endian)[:2], count, descriptor[2])
    else:
        entries = _entries(item, names[1], count, descriptor[2], little_endian)
    needed = int(entries.max()).bit_length() if entries.size else 0
    bits = descriptor[2]
    warnings: tuple[str, ...] = ()
    if not needed <= bits <= 16 or (bits == 16 and 1 < needed < 16 and not prefix):
        bits, warnings = max(needed, 1), (LUT_BITS_WARNING,)
    if len(entries) < count:
        warnings += (SHORT_LUT_WARNING,)
    if not len(entries):
        raise ValueError("entries")
    return ReadTable(LookupTable(entries[:count], first, bits), warnings)


def _covered(first: int, count: int, inputs: Range) -> float:
    """Return how many possible inputs a table has an own entry for."""
    return max(0.0, min(first + count - 1, inputs[1]) - max(first, inputs[0]) + 1)


def _entries(
    item: pydicom.Dataset, keyword: str, count: int, bits: int, little_endian: bool
) -> npt.NDArray[np.uint16]:
    """Return the entries of a table: words, or bytes if there are too few bytes for words.

    Two entries of 8 bits share a word, the first in its low byte.
    """
    data, little_endian, vr = _data_of(item, keyword, little_endian)
    words = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2" if little_endian else ">u2")
    has_bytes = len(data) in (count, count + 1) if 8 < bits < 17 else len(data) < 2 * count
    if not has_bytes or 8 < bits < 16 or (len(data) not in (count, count + 1) and words.max(initial=0) < 256):
        return words.astype(np.uint16)
    if not little_endian and vr != "OB":
        data = words.astype("<u2").tobytes()
    return np.frombuffer(data[:count], dtype=np.uint8).astype(np.uint16)


def _data_of(item: pydicom.Dataset, keyword: str, little_endian: bool) -> tuple[bytes, bool, str]:
    """Return the bytes of an element of words or bytes, their order, and its value representation."""
    element: Any = item.get_item(keyword)
    data: Any = element.value
    vr = element.VR or "OW"
    if isinstance(element, RawDataElement):
        little_endian = element.is_little_endian
    elif not isinstance(data, bytes):
        values = np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF
        data, little_endian = values.astype("<u2").tobytes(), True
    return data, little_endian, vr


def with_entries(table: LookupTable, count: int) -> LookupTable:
    """Return a table with ``count`` entries, of which the last is repeated."""
    missing = max(count - len(table.entries), 0)
    return replace(table, entries=np.pad(table.entries, (0, missing), mode="edge"))
