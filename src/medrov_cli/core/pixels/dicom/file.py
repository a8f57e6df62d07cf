"""Opening of DICOM files: header, encoding and position of the pixel data, without decoding."""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import pydicom
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.dicom.codestream import HEAD_BYTES, read_stream_header, stream_syntax
from medrov_cli.core.pixels.dicom.encoding import GE_PRIVATE, read_header
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.fragments import EncodedFrames, Fragment, find_frames
from medrov_cli.core.pixels.dicom.pixel_element import (
    UNDEFINED_LENGTH,
    PixelElement,
    bits_of,
    check_size,
    pixel_options,
    read_pixel_element,
    stated_frames,
)
from medrov_cli.core.pixels.dicom.samples import WIDE_STREAM_WARNING, SampleLayout, layout_of, wide_layout

NO_PREAMBLE_WARNING = "The DICOM file has no preamble."
SYNTAX_WARNING = "The transfer syntax contradicts the pixel data; that of the pixel data was used."
SUBSAMPLING_WARNING = (
    "The photometric interpretation contradicts the length of the pixel data; the length decided whether "
    "its chroma is subsampled."
)
FRAMES_WARNING = "Number of Frames is missing; it was computed from the length of the pixel data."
EXCESS_WARNING = "The pixel data is longer than Number of Frames; what follows the frames was left out."

_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)


@dataclass(frozen=True, slots=True)
class DicomFile:
    """Opened file, ready for decoding.

    Attributes
    ----------
    header
        All elements before the pixel data.
    stream
        The file; of uncompressed pixel data, positioned at the first byte of its value.
    decoder
        Decoder of the transfer syntax.
    options
        Options of pydicom's decoders.
    layout
        Position of a sample in its word; null for floating-point values.
    rows, columns, frames
        Numbers in the header, within the limits.
    encoded
        Fragments of each frame; empty for uncompressed pixel data.
    limits
        Limits that hold for the frames, too.
    warnings
        Warnings for the user.
    """

    header: pydicom.Dataset
    stream: BinaryIO
    decoder: Decoder
    options: Mapping[str, Any]
    layout: SampleLayout | None
    rows: int
    columns: int
    frames: int
    encoded: tuple[tuple[Fragment, ...], ...]
    limits: InputLimits
    warnings: tuple[str, ...]

    @property
    def is_float(self) -> bool:
        """Return whether the stored values are floating point (parametric maps)."""
        return self.layout is None


def open_dicom(file: BinaryIO, limits: InputLimits) -> DicomFile:
    """Read the header of a file, and check that its pixel data is complete and within the limits.

    Raises
    ------
    MedrovError
        ``no_pixels``, ``truncated``, ``too_large``, ``bad_metadata`` or ``unsupported_format``.
    """
    has_preamble = file.read(132)[128:] == b"DICM"
    file.seek(0)
    encoding = read_header(file, limits)
    header, stream = encoding.dataset, encoding.stream
    element = read_pixel_element(header, stream, is_cut=encoding.is_cut)
    options, warnings = pixel_options(header, element)
    warnings = (*(() if has_preamble else (NO_PREAMBLE_WARNING,)), *encoding.warnings, *warnings)
    stated = stated_frames(header)
    check_size(options, stated or 1, limits)
    layout, layout_warnings = _layout(header, options, element)
    start = stream.tell()
    syntax, is_encapsulated, syntax_warnings = _real_syntax(
        encoding.transfer_syntax, element, stream, options, stated
    )
    decoder = _decoder(syntax)
    stream.seek(start)
    if is_encapsulated:
        found = find_frames(stream, start, stated, limits, element.extended_offsets)
        frames = len(found.frames)
    else:
        found = EncodedFrames(())
        frames, length_warnings = _native_frames(stream, start, element, options, stated)
        warnings += length_warnings
    check_size(options, frames, limits)
    options |= {"transfer_syntax_uid": syntax, "number_of_frames": frames}
    if is_encapsulated:
        head = _head(stream, found)
        real = stream_syntax(head, syntax)
        if real != syntax:
            decoder, syntax_warnings = _decoder(real), (SYNTAX_WARNING,)
            options["transfer_syntax_uid"] = real
        in_stream = read_stream_header(head)
        if layout is not None and in_stream is not None and in_stream.precision > layout.allocated:
            layout, layout_warnings = wide_layout(layout, in_stream.precision), (WIDE_STREAM_WARNING,)
            options["bits_allocated"] = layout.allocated
            check_size(options, frames, limits)
    stream.seek(start)
    return DicomFile(
        header,
        stream,
        decoder,
        options,
        layout,
        options["rows"],
        options["columns"],
        frames,
        found.frames,
        limits,
        tuple(dict.fromkeys((*warnings, *syntax_warnings, *layout_warnings, *found.warnings))),
    )


def _layout(
    header: pydicom.Dataset, options: Mapping[str, Any], element: PixelElement
) -> tuple[SampleLayout | None, tuple[str, ...]]:
    if element.keyword != "PixelData":
        return None, ()
    if "pixel_representation" not in options or "photometric_interpretation" not in options:
        raise bad_metadata("an element that describes the pixel data is missing")
    signed = options["pixel_representation"] == 1
    return layout_of(options["bits_allocated"], *bits_of(header), signed=signed)


def _real_syntax(
    named: UID, element: PixelElement, stream: BinaryIO, options: Mapping[str, Any], frames: int | None
) -> tuple[UID, bool, tuple[str, ...]]:
    """Return the transfer syntax of the pixel data, whether it is encapsulated, and warnings.

    Fragments under an uncompressed syntax are decoded as their first bytes say. Plain pixels of the right
    length under a compressed syntax are little endian.
    """
    syntax = ExplicitVRBigEndian if named == GE_PRIVATE else named
    has_items = element.length == UNDEFINED_LENGTH or stream.read(4) == _ITEM
    states_items = _is_encapsulated(syntax)
    if states_items == has_items or (has_items and element.length != UNDEFINED_LENGTH):
        return syntax, states_items, ()
    if not has_items:
        if element.length < _native_bytes(options, frames or 1):
            return syntax, True, ()  # no item where the first one should be: reported as truncated
        return ExplicitVRLittleEndian, False, (SYNTAX_WARNING,)
    head = stream.read(1 << 16)
    table_length = struct.unpack("<I", head[4:8])[0] if len(head) >= 8 else 0
    real = stream_syntax(head[16 + table_length :], syntax)
    if real == syntax:
        raise bad_metadata("compressed pixel data under a transfer syntax that is uncompressed or unknown")
    return real, True, (SYNTAX_WARNING,)


def _is_encapsulated(syntax: UID) -> bool:
    return bool(_decoder(syntax).is_encapsulated)


def _head(stream: BinaryIO, found: EncodedFrames) -> bytes:
    """Return the first bytes of the first frame."""
    fragment = found.frames[0][0]
    stream.seek(fragment.start)
    return stream.read(min(fragment.length, HEAD_BYTES))


def _decoder(transfer_syntax: UID) -> Decoder:
    try:
        return get_decoder(transfer_syntax)
    except NotImplementedError:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"The transfer syntax of the DICOM file cannot be decoded ({_syntax_name(transfer_syntax)}).",
            "Export it uncompressed, or as JPEG 2000 or RLE; a DICOM video as mp4.",
        ) from None


def _syntax_name(transfer_syntax: UID) -> str:
    return transfer_syntax.name if re.fullmatch(r"[0-9.]{1,64}", str(transfer_syntax)) else "not a UID"


def _native_frames(
    stream: BinaryIO, start: int, element: PixelElement, options: dict[str, Any], stated: int | None
) -> tuple[int, tuple[str, ...]]:
    """Return the number of frames of uncompressed pixel data, and correct its subsampling by its length."""
    actual = min(element.length, stream.seek(0, os.SEEK_END) - start)
    warnings = _conform_subsampling(options, actual, stated or 1)
    one = _native_bytes(options, 1)
    whole, rest = divmod(actual, one)
    if stated is None and whole > 1 and rest <= 1 and options["bits_allocated"] > 1:
        return whole, (*warnings, FRAMES_WARNING)
    expected = _native_bytes(options, stated or 1)
    if actual < expected:
        raise MedrovError(
            ErrorCode.TRUNCATED,
            f"The pixel data has {actual} of {expected} bytes.",
            "Copy or export the file again.",
        )
    is_longer = actual >= expected + one and options["bits_allocated"] > 1
    return stated or 1, (*warnings, *((EXCESS_WARNING,) if is_longer else ()))


def _conform_subsampling(options: dict[str, Any], actual: int, frames: int) -> tuple[str, ...]:
    """Choose YBR_FULL or YBR_FULL_422 by the length: 3 or 2 bytes a pixel (PS3.3, C.7.6.3.1.2).

    Data of whole subsampled frames, more than stated, is subsampled as stated.
    """
    stated = options.get("photometric_interpretation")
    if stated not in ("YBR_FULL", "YBR_FULL_422") or options["samples_per_pixel"] != 3:
        return ()
    one = options["rows"] * options["columns"] * 3 * options["bits_allocated"] // 8
    full, half, one_half = one * frames, one * frames * 2 // 3, max(one * 2 // 3, 1)
    if stated == "YBR_FULL":
        fits = "YBR_FULL_422" if half <= actual <= half + 1 else stated
    else:
        is_whole = actual % one_half <= 1 and not full <= actual <= full + 1
        fits = "YBR_FULL" if actual >= full and not is_whole else stated
    if fits == stated:
        return ()
    options["photometric_interpretation"] = fits
    return (SUBSAMPLING_WARNING,)


def _native_bytes(options: Mapping[str, Any], frames: int) -> int:
    sizes = ("rows", "columns", "samples_per_pixel", "bits_allocated")
    bits = math.prod(int(options[name]) for name in sizes)
    if options.get("photometric_interpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3  # two pixels share their chroma (PS3.3, C.7.6.3.1.2)
    return math.ceil(bits * frames / 8)
