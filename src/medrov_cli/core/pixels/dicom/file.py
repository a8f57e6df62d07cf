"""Opening of DICOM files: header, encoding and position of the pixel data, without decoding."""

from __future__ import annotations

import io
import math
import os
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import pydicom
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.dicom.codestream import check_fragments

_PIXEL_KEYWORDS = {
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
    (0x7FE0, 0x0010): "PixelData",
}
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"UN")
_CHUNK_BYTES = 1 << 20

NO_PREAMBLE_WARNING = "The DICOM file has no preamble."
GUESSED_WARNING = "The DICOM file does not name its transfer syntax; it was guessed from the header."


@dataclass(frozen=True, slots=True)
class DicomFile:
    """Opened file, ready for decoding.

    Attributes
    ----------
    header
        All elements before the pixel data.
    stream
        Stream at the first byte of the pixel data's value.
    decoder
        Decoder of the transfer syntax.
    options
        Options of pydicom's decoders.
    rows, columns, frames
        Numbers in the header, within the limits.
    warnings
        Warnings for the user.
    """

    header: pydicom.Dataset
    stream: BinaryIO
    decoder: Decoder
    options: Mapping[str, Any]
    rows: int
    columns: int
    frames: int
    warnings: tuple[str, ...]

    @property
    def is_float(self) -> bool:
        """Return whether the stored values are floating point (parametric maps)."""
        return str(self.options["pixel_keyword"]) != "PixelData"


def open_dicom(file: BinaryIO, limits: InputLimits) -> DicomFile:
    """Read the header of a file, and check that its pixel data is complete and within the limits.

    Raises
    ------
    MedrovError
        ``no_pixels``, ``truncated``, ``too_large``, ``bad_metadata`` or ``unsupported_format``.
    """
    has_preamble = file.read(132)[128:] == b"DICM"
    file.seek(0)
    header, stream = _read_header(file, limits)
    transfer_syntax, guessed = _transfer_syntax(header)
    keyword, vr, length = _pixel_element(header, stream)
    options = dict(as_pixel_options(header), pixel_keyword=keyword, transfer_syntax_uid=transfer_syntax)
    if vr:
        options["pixel_vr"] = vr
    rows, columns, frames = _checked_size(options, limits)
    warnings = (*(() if has_preamble else (NO_PREAMBLE_WARNING,)), *((GUESSED_WARNING,) if guessed else ()))
    opened = DicomFile(header, stream, _decoder(transfer_syntax), options, rows, columns, frames, warnings)
    _check_whole(opened, length, limits)
    return opened


def _read_header(file: BinaryIO, limits: InputLimits) -> tuple[pydicom.Dataset, BinaryIO]:
    start = file.read(4096)
    file.seek(0)
    if str(DeflatedExplicitVRLittleEndian).encode() not in start:
        return pydicom.dcmread(file, stop_before_pixels=True, force=True), file
    meta, inflated = _inflate(file, start, limits)
    header = read_dataset(inflated, False, True, stop_when=lambda tag, _vr, _length: tag.group == 0x7FE0)
    header.set_original_encoding(False, True)
    header.file_meta = meta
    return header, inflated


def _inflate(
    file: BinaryIO, start: bytes, limits: InputLimits
) -> tuple[pydicom.dataset.FileMetaDataset, BinaryIO]:
    """Inflate a deflated dataset (PS3.5, A.5) up to a limit of bytes."""
    at = 132 if start[128:132] == b"DICM" else 0
    if start[at : at + 8] != b"\x02\x00\x00\x00UL\x04\x00":
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            "The file meta header of a deflated DICOM file has no group length (0002,0000).",
            "Export the file again.",
        )
    data_at = at + 12 + struct.unpack("<I", start[at + 8 : at + 12])[0]
    meta = pydicom.dataset.FileMetaDataset(read_dataset(io.BytesIO(start[at:data_at]), False, True))
    file.seek(data_at)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = io.BytesIO()
    while not inflater.eof:
        chunk = inflater.unconsumed_tail or file.read(_CHUNK_BYTES)
        if not chunk:
            raise EOFError
        inflated.write(inflater.decompress(chunk, _CHUNK_BYTES))
        if inflated.tell() > limits.inflated_bytes:
            raise too_large(f"inflates to more than {limits.inflated_bytes} bytes")
    inflated.seek(0)
    return meta, inflated


def _transfer_syntax(header: pydicom.Dataset) -> tuple[UID, bool]:
    """Return the transfer syntax, and whether it was inferred from the header's encoding."""
    named = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if named:
        return UID(str(named)), False
    implicit, little_endian = header.original_encoding
    if not little_endian:
        return ExplicitVRBigEndian, True
    return (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian), True


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


def _pixel_element(header: pydicom.Dataset, stream: BinaryIO) -> tuple[str, str | None, int]:
    """Read tag, VR and length of the pixel data, up to the start of its value."""
    implicit, little_endian = header.original_encoding
    order = "<" if little_endian else ">"
    head = stream.read(8)
    keyword = _PIXEL_KEYWORDS.get(struct.unpack(f"{order}HH", head[:4])) if len(head) == 8 else None
    if keyword is None:
        raise _no_pixels(header)
    if implicit:
        return keyword, None, struct.unpack(f"{order}I", head[4:])[0]
    vr = head[4:6]
    if vr not in _LONG_VRS:
        raise bad_metadata("(7FE0,0010) Pixel Data has an invalid value representation")
    tail = stream.read(4)
    if len(tail) < 4:
        raise EOFError
    return keyword, vr.decode("ascii"), struct.unpack(f"{order}I", tail)[0]


def _no_pixels(header: pydicom.Dataset) -> MedrovError:
    if "Rows" in header and "Columns" in header:
        return MedrovError(
            ErrorCode.TRUNCATED,
            "The DICOM header describes an image, but the file ends before its pixel data.",
            "Copy or export the file again.",
        )
    modality = modality_tag(header)
    what = f"a DICOM object of modality {modality}" if modality else "a DICOM object"
    return MedrovError(
        ErrorCode.NO_PIXELS,
        f"This is {what} without pixel data.",
        "Give the image files of the study: reports, waveforms, plans and DICOMDIR files contain no image.",
    )


def modality_tag(header: pydicom.Dataset) -> str:
    """Return (0008,0060) Modality, or an empty text if it is missing or not a plain code."""
    value = str(header.get("Modality") or "").strip().upper()
    return value if re.fullmatch(r"[A-Z]{1,16}", value) else ""


def _checked_size(options: Mapping[str, Any], limits: InputLimits) -> tuple[int, int, int]:
    try:
        rows, columns = int(options["rows"]), int(options["columns"])
        frames, samples = int(options["number_of_frames"]), int(options["samples_per_pixel"])
        bits = int(options["bits_allocated"])
    except (KeyError, TypeError, ValueError):
        raise bad_metadata(
            "Rows, Columns, Samples per Pixel, Bits Allocated or Number of Frames is missing or invalid"
        ) from None
    if min(rows, columns, frames, samples, bits) < 1:
        raise bad_metadata("Rows, Columns, Samples per Pixel, Bits Allocated or Number of Frames is below 1")
    if rows * columns > limits.pixels_per_frame:
        raise too_large(f"has {rows} x {columns} pixels a frame; the limit is {limits.pixels_per_frame}")
    if frames > limits.frames:
        raise too_large(f"has {frames} frames; the limit is {limits.frames}")
    if rows * columns * samples * frames * bits > 8 * limits.inflated_bytes:
        raise too_large(f"holds more than {limits.inflated_bytes} bytes of pixels")
    return rows, columns, frames


def _check_whole(opened: DicomFile, length: int, limits: InputLimits) -> None:
    stream = opened.stream
    start = stream.tell()
    if opened.decoder.is_encapsulated:
        check_fragments(stream, start, opened.frames, limits)
    elif length == _UNDEFINED_LENGTH:
        raise bad_metadata("compressed pixel data under a transfer syntax that is uncompressed or unknown")
    else:
        actual = min(length, stream.seek(0, os.SEEK_END) - start)
        expected = _native_bytes(opened)
        if actual < expected:
            raise MedrovError(
                ErrorCode.TRUNCATED,
                f"The pixel data has {actual} of {expected} bytes.",
                "Copy or export the file again.",
            )
    stream.seek(start)


def _native_bytes(opened: DicomFile) -> int:
    options = opened.options
    bits = opened.rows * opened.columns * int(options["samples_per_pixel"]) * int(options["bits_allocated"])
    if options.get("photometric_interpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3  # two pixels share their chroma (PS3.3, C.7.6.3.1.2)
    return math.ceil(bits * opened.frames / 8)


def bad_metadata(what: str) -> MedrovError:
    """Return the error for a header that contradicts itself or the standard."""
    return MedrovError(
        ErrorCode.BAD_METADATA, f"The DICOM header is wrong: {what}.", "Export the file again."
    )


def too_large(what: str) -> MedrovError:
    """Return the error for a file beyond the limits."""
    return MedrovError(ErrorCode.TOO_LARGE, f"The file {what}.", "Split it, or export it at a smaller size.")
