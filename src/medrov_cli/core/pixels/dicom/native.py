"""Frames of uncompressed DICOM pixel data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.dicom.file import DicomFile
from medrov_cli.core.pixels.greyscale import Values

_WHOLE_WORDS = (1, 8, 16, 32, 64)
"""Bits Allocated whose words numpy has; 12 and 24 have neither."""


def native_frame(file: DicomFile, index: int) -> tuple[Values, str]:
    """Return the stored values of a frame, without unused bits, and their photometric interpretation.

    Raises
    ------
    MedrovError
        ``unsupported_format`` for words of 12 or 24 bits, and chroma of more than 8 bits.
    """
    bits = int(file.options["bits_allocated"])
    photometric = str(file.options["photometric_interpretation"])
    if bits not in _WHOLE_WORDS or (bits > 8 and photometric.startswith("YBR")):
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"Uncompressed pixels of {bits} allocated bits"
            + (" in YBR are not read." if photometric.startswith("YBR") else " are not read."),
            "Export the image with 8 or 16 bits allocated, in colour as RGB.",
        )
    if bits == 1:
        return _unpack_bits(file, index), photometric
    options = dict(file.options)
    if file.layout is not None:
        options |= plain_words(file.layout.allocated, signed=False)
    values, properties = file.decoder.as_array(file.stream, index=index, raw=False, **options)
    if file.layout is not None:
        values = file.layout.extract(values)
    return values, str(properties["photometric_interpretation"])


def _unpack_bits(file: DicomFile, index: int) -> Values:
    """Return a frame of packed bits, which follow the previous frame without a gap (PS3.5, 8.1.1).

    pydicom 3.0 reads a frame that does not begin at a byte one byte short.
    """
    pixels = file.rows * file.columns * int(file.options["samples_per_pixel"])
    first_bit = index * pixels
    first_byte = first_bit // 16 * 2
    start = file.stream.tell()
    file.stream.seek(start + first_byte)
    packed = np.frombuffer(file.stream.read(math.ceil((first_bit + pixels) / 16) * 2 - first_byte), np.uint8)
    file.stream.seek(start)
    if not file.decoder.UID.is_little_endian and file.options.get("pixel_vr") != "OB":
        packed = packed[: len(packed) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
    bits = np.unpackbits(packed, bitorder="little")[first_bit - 8 * first_byte :]
    return bits[:pixels].reshape(file.rows, file.columns)


def plain_words(bits: int, *, signed: bool) -> dict[str, Any]:
    """Return options with which pydicom returns words of ``bits`` bits unchanged."""
    allocated = 1 if bits == 1 else 8 if bits <= 8 else 16 if bits <= 16 else 32 if bits <= 32 else 64
    return {
        "bits_allocated": allocated,
        "bits_stored": bits,
        "pixel_representation": int(signed),
        "correct_unused_bits": False,
    }
