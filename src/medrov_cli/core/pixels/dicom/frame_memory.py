"""Memory that decoding and rendering of a DICOM frame need, from the header alone."""

from __future__ import annotations

from pydicom import uid

from medrov_cli.core.pixels.dicom.file import DicomFile

_COPIES = 3
"""Copies of the samples: the words of the decoder, the array of pydicom, and the extracted bits."""

_COMPRESSED_COPIES = 1
_OPENJPEG_BYTES = 4
"""Bytes of a sample inside OpenJPEG."""

_GREY_BYTES = 24
"""Bytes of a pixel for windowing, three arrays of 8 bytes at most; they include the 8-bit RGB image."""

_COLOR_BYTES = 9
_JPEG_2000 = frozenset({*uid.JPEG2000TransferSyntaxes, uid.HTJ2K, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL})


def frame_bytes(file: DicomFile) -> int:
    """Return an upper estimate of what one frame of a file allocates at a time, in bytes."""
    samples = int(file.options["samples_per_pixel"])
    sample_bytes = (int(file.options["bits_allocated"]) + 7) // 8
    copies = _COPIES + (_COMPRESSED_COPIES if file.encoded else 0)
    per_sample = sample_bytes * copies
    if file.encoded and file.decoder.UID in _JPEG_2000:
        per_sample += _OPENJPEG_BYTES
    rendering = _GREY_BYTES if samples == 1 else _COLOR_BYTES
    return file.rows * file.columns * (samples * per_sample + rendering)
