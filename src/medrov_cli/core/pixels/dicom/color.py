"""Conversion of DICOM colour images, RGB of any depth and palettes, to 8-bit RGB."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pydicom

from medrov_cli.core.base.errors import ErrorCode, MedrovError, contradiction
from medrov_cli.core.pixels.dicom.file import DicomFile
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.luts import SHORT_LUT_WARNING, Range, lookup_table, with_entries
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.records.frame import UInt8Array

_CHANNELS = ("Red", "Green", "Blue")
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


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


def palette_to_rgb(
    stored: Values, header: pydicom.Dataset, little_endian: bool, inputs: Range
) -> tuple[UInt8Array, tuple[str, ...]]:
    """Convert a PALETTE COLOR image by its red, green and blue tables (PS3.3, C.7.6.3.1.5).

    Parameters
    ----------
    stored
        Integers, (height, width).
    header
        Dataset with the tables, plain or segmented.
    little_endian
        Byte order of 16-bit entries.
    inputs
        Smallest and largest possible stored value.

    Returns
    -------
    tuple
        uint8, (height, width, 3); warnings for the user.

    Raises
    ------
    MedrovError
        ``bad_metadata`` if a table is missing or malformed.
    """
    try:
        first, table, warnings = _palette(header, little_endian, inputs)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError):
        raise bad_metadata("the palette of a PALETTE COLOR image is missing or malformed") from None
    indices = np.clip(stored.astype(np.int64) - first, 0, len(table) - 1)
    return np.ascontiguousarray(table[indices]), warnings


def _palette(
    header: pydicom.Dataset, little_endian: bool, inputs: Range
) -> tuple[int, UInt8Array, tuple[str, ...]]:
    """Return the first mapped value, the table, uint8 (entries, 3), and warnings."""
    found = [
        lookup_table(header, little_endian, inputs, f"{channel}PaletteColorLookupTable")
        for channel in _CHANNELS
    ]
    count = max(len(one.table.entries) for one in found)
    tables = [with_entries(one.table, count) for one in found]
    warnings = tuple(
        dict.fromkeys(text for one in found for text in one.warnings if text == SHORT_LUT_WARNING)
    )
    return (
        tables[0].first_mapped,
        _to_8_bits(np.stack([table.entries for table in tables], axis=1)),
        warnings,
    )


def _to_8_bits(entries: npt.NDArray[np.unsignedinteger]) -> UInt8Array:
    """Return the high byte of 16-bit entries.

    It is exact for both usual encodings of an 8-bit palette with 16 bits (v * 256 and v * 257).
    Tables without a value above 255 are 8 bit, regardless of their descriptor.
    """
    return (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)


def color_to_rgb(file: DicomFile, stored: Values, photometric: str) -> tuple[UInt8Array, tuple[str, ...]]:
    """Return the colours of stored values, uint8, (rows, columns, 3), and warnings.

    Raises
    ------
    MedrovError
        ``BAD_METADATA`` or ``UNSUPPORTED_FORMAT``.
    """
    layout = file.layout
    if layout is not None and photometric == "PALETTE COLOR" and stored.ndim == 2:
        little_endian = bool(file.header.original_encoding[1])
        return palette_to_rgb(stored, file.header, little_endian, layout.range)
    if layout is not None and photometric == "RGB" and stored.ndim == 3:
        return rgb_to_uint8(stored, layout.stored), ()
    if photometric in (*_MONOCHROME, "PALETTE COLOR", "RGB"):
        raise bad_metadata(contradiction("Photometric Interpretation", "Samples per Pixel"))
    raise MedrovError(
        ErrorCode.UNSUPPORTED_FORMAT,
        "The photometric interpretation of the image is a retired or unknown one.",
        "Export the image as RGB or MONOCHROME2.",
    )
