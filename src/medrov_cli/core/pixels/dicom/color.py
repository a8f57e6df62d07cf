"""Conversion of DICOM colour images, RGB of any depth and palettes, to 8-bit RGB."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.processing import apply_color_lut

from medrov_cli.core.pixels.dicom.file import bad_metadata
from medrov_cli.core.pixels.dicom.luts import lookup_table
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.records.frame import UInt8Array

_CHANNELS = ("Red", "Green", "Blue")


def rgb_to_uint8(values: Values, bits_stored: int) -> UInt8Array:
    """Scale RGB of ``bits_stored`` bits to 8 bits, so that the maximum stays the maximum.

    Parameters
    ----------
    values
        Unsigned, (height, width, 3).

    Returns
    -------
    ndarray
        uint8, same shape, C-contiguous.
    """
    if bits_stored == 8:
        return np.ascontiguousarray(values, dtype=np.uint8)
    full = 2**bits_stored - 1
    scaled = np.rint(np.clip(values, 0, full) * (255.0 / full))
    return np.ascontiguousarray(scaled.astype(np.uint8))


def palette_to_rgb(stored: Values, header: pydicom.Dataset, little_endian: bool) -> UInt8Array:
    """Convert a PALETTE COLOR image by its red, green and blue tables (PS3.3, C.7.6.3.1.5).

    Parameters
    ----------
    stored
        Integers, (height, width).
    header
        Dataset with the tables, plain or segmented.
    little_endian
        Byte order of 16-bit entries.

    Returns
    -------
    ndarray
        uint8, (height, width, 3).

    Raises
    ------
    MedrovError
        ``bad_metadata`` if a table is missing or malformed.
    """
    try:
        first, table = _palette(header, little_endian)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError):
        raise bad_metadata("the palette of a PALETTE COLOR image is missing or malformed") from None
    indices = np.clip(stored.astype(np.int64) - first, 0, len(table) - 1)
    return np.ascontiguousarray(table[indices])


def _palette(header: pydicom.Dataset, little_endian: bool) -> tuple[int, UInt8Array]:
    """Return the first mapped value and the table, uint8 (entries, 3)."""
    signed = header.get("PixelRepresentation") == 1
    if "SegmentedRedPaletteColorLookupTableData" in header:
        return _segmented_palette(header, signed)
    tables = []
    for channel in _CHANNELS:
        item = pydicom.Dataset()
        item.LUTDescriptor = header[f"{channel}PaletteColorLookupTableDescriptor"].value
        item.LUTData = header[f"{channel}PaletteColorLookupTableData"].value
        tables.append(lookup_table(item, little_endian, signed))
    return tables[0].first_mapped, _to_8_bits(np.stack([table.entries for table in tables], axis=1))


def _segmented_palette(header: pydicom.Dataset, signed: bool) -> tuple[int, UInt8Array]:
    """Expand a segmented palette by pydicom, for all its entries at once."""
    descriptor = [int(number) for number in header.RedPaletteColorLookupTableDescriptor]
    count, first = descriptor[0] & 0xFFFF or 1 << 16, descriptor[1]
    if signed and first > 32767:
        first -= 65536
    return first, _to_8_bits(apply_color_lut(np.arange(first, first + count), header)[:, :3])


def _to_8_bits(entries: npt.NDArray[np.unsignedinteger]) -> UInt8Array:
    """Return the high byte of 16-bit entries.

    It is exact for both usual encodings of an 8-bit palette with 16 bits (v * 256 and v * 257).
    Tables without a value above 255 are 8 bit, regardless of their descriptor.
    """
    return (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)
