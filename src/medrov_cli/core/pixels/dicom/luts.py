"""Lookup tables and windows of DICOM headers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pydicom

from medrov_cli.core.pixels.dicom.header import numbers
from medrov_cli.core.pixels.greyscale import LookupTable, VoiFunction


@dataclass(frozen=True, slots=True)
class VoiView:
    """One window or VOI lookup table of a file.

    Attributes
    ----------
    table
        Table of the VOI LUT Sequence; the other attributes are then not used.
    center, width, function
        Of the window, in the units after the modality LUT.
    """

    table: LookupTable | None = None
    center: float = 0.0
    width: float = 1.0
    function: VoiFunction = VoiFunction.LINEAR


def views_of(dataset: pydicom.Dataset, little_endian: bool, signed: bool) -> tuple[tuple[VoiView, ...], bool]:
    """Return the valid VOI tables and windows of a dataset, tables first, and whether one is invalid.

    Parameters
    ----------
    dataset
        The header, or the item of a Frame VOI LUT Sequence.
    little_endian, signed
        As for `lookup_table`.
    """
    views: list[VoiView] = []
    tables = list(dataset.get("VOILUTSequence") or ())
    for item in tables:
        try:
            views.append(VoiView(table=lookup_table(item, little_endian, signed)))
        except (TypeError, ValueError, AttributeError, KeyError):
            continue
    name = str(dataset.get("VOILUTFunction") or VoiFunction.LINEAR).strip().upper()
    function = VoiFunction(name) if name in set(VoiFunction) else VoiFunction.LINEAR
    pairs = list(zip(numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"), strict=False))
    views.extend(
        VoiView(center=center, width=width, function=function) for center, width in pairs if width > 0
    )
    malformed = not pairs and (_has_value(dataset, "WindowCenter") or _has_value(dataset, "WindowWidth"))
    return tuple(views), malformed or len(views) < len(tables) + len(pairs) or name not in set(VoiFunction)


def _has_value(dataset: pydicom.Dataset, keyword: str) -> bool:
    return keyword in dataset and bool(dataset.get_item(keyword).value)  # without conversion, which may fail


def lookup_table(item: pydicom.Dataset, little_endian: bool, signed: bool) -> LookupTable:
    """Return LUT Descriptor and LUT Data of a sequence item (PS3.3, C.11.1.1.1 and C.11.2.1.1).

    Parameters
    ----------
    item
        Of a Modality LUT or VOI LUT Sequence.
    little_endian
        Byte order of 16-bit entries that are read as bytes.
    signed
        Whether input values can be negative; the first mapped value is then signed.
    """
    descriptor = [int(number) for number in item.LUTDescriptor]
    count = descriptor[0] & 0xFFFF or 1 << 16
    first, bits = descriptor[1], descriptor[2]
    if signed and first > 32767:
        first -= 65536
    if not 1 <= bits <= 16:
        raise ValueError("bits")
    entries = _entries(item.LUTData, count, little_endian)
    if len(entries) < count:
        raise ValueError("entries")
    return LookupTable(entries[:count], first, bits)


def _entries(data: object, count: int, little_endian: bool) -> npt.NDArray[np.uint16]:
    if isinstance(data, bytes):
        wide = len(data) >= 2 * count
        stored = np.frombuffer(data, dtype=("<u2" if little_endian else ">u2") if wide else np.uint8)
        return stored.astype(np.uint16)
    return (np.atleast_1d(np.asarray(data, dtype=np.int64)) & 0xFFFF).astype(np.uint16)
