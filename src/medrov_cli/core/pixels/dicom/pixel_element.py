"""Position of the pixel data of a DICOM file, and the attributes that describe it."""

from __future__ import annotations

import io
import re
import struct
from typing import Any, BinaryIO, NamedTuple

import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.dicom.elements import number, numbers
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata, too_large

_PIXEL_KEYWORDS = {
    (0x7FE0, 0x0008): "FloatPixelData",
    (0x7FE0, 0x0009): "DoubleFloatPixelData",
    (0x7FE0, 0x0010): "PixelData",
}
_EXTENDED_OFFSETS = {(0x7FE0, 0x0001): "ExtendedOffsetTable", (0x7FE0, 0x0002): "ExtendedOffsetTableLengths"}
_GROUP_LENGTH = (0x7FE0, 0x0000)
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN")

_NO_IMAGE_CLASSES = re.compile(
    r"1\.2\.840\.10008\.(?:1\.3\.10"
    r"|5\.1\.4\.1\.1\.(?:4\.2|(?:9|11|66|67|78|79|80|88|104|200|481)(?:\..*)?)"
    r"|5\.1\.4\.(?:34|38|39|43|44|45)\..*)"
    r"|1\.3\.12\.2\.1107\.5\.9\.1"
)
"""Storage classes of objects that are no images: spectra, presentation states, reports, waveforms, documents,
raw data, registrations, segmentations, radiotherapy, protocols, and DICOMDIR (PS3.4, B.5); CSA data."""

_RADIOTHERAPY_IMAGE = "1.2.840.10008.5.1.4.1.1.481.1"

UNDEFINED_LENGTH = 0xFFFFFFFF

PLANAR_WARNING = "Planar Configuration is missing; colour by pixel was assumed."


class PixelElement(NamedTuple):
    """Head of the pixel data element.

    Attributes
    ----------
    keyword
        Of the element.
    vr
        Its value representation; null in implicit VR.
    length
        Of its value in bytes; `UNDEFINED_LENGTH` for encapsulated data.
    extended_offsets
        Extended Offset Table and its lengths, or null.
    """

    keyword: str
    vr: str | None
    length: int
    extended_offsets: tuple[bytes, bytes] | None


def read_pixel_element(header: pydicom.Dataset, stream: BinaryIO, *, is_cut: bool) -> PixelElement:
    """Read the head of the pixel data, up to the start of its value.

    Letters of a value representation are no valid length, because it would be odd: they mean explicit VR
    in any data set.

    Raises
    ------
    MedrovError
        ``no_pixels``, ``truncated`` or ``bad_metadata``.
    """
    order = "<" if header.original_encoding[1] else ">"
    tables: dict[str, bytes] = {}
    while True:
        head = stream.read(8)
        tag = struct.unpack(f"{order}HH", head[:4]) if len(head) == 8 else None
        keyword = _PIXEL_KEYWORDS.get(tag) if tag else None
        name = _EXTENDED_OFFSETS.get(tag) if tag else None
        if tag == _GROUP_LENGTH:  # retired; an unsigned long in both encodings
            stream.seek(4, io.SEEK_CUR)
            continue
        if keyword is None and name is None:
            raise _no_pixels(header, is_cut)
        vr, length = _vr_and_length(stream, head, order, bool(header.original_encoding[0]))
        if keyword is not None:
            both = tuple(tables.get(other, b"") for other in _EXTENDED_OFFSETS.values())
            return PixelElement(keyword, vr, length, (both[0], both[1]) if tables else None)
        tables[str(name)] = stream.read(min(length, 1 << 24))


def _vr_and_length(stream: BinaryIO, head: bytes, order: str, implicit: bool) -> tuple[str | None, int]:
    vr = head[4:6]
    if vr in _LONG_VRS:
        tail = stream.read(4)
        if len(tail) < 4:
            raise EOFError
        return vr.decode("ascii"), struct.unpack(f"{order}I", tail)[0]
    if not implicit and vr.isalpha():
        raise bad_metadata("(7FE0,0010) Pixel Data has an invalid value representation")
    return None, struct.unpack(f"{order}I", head[4:])[0]


def _no_pixels(header: pydicom.Dataset, is_cut: bool) -> MedrovError:
    is_image = is_image_class(storage_class(header)) is not False
    if is_cut or (is_image and "Rows" in header and "Columns" in header):
        return MedrovError(
            ErrorCode.TRUNCATED,
            "The DICOM file ends within its header."
            if is_cut
            else "The DICOM header describes an image, but the file ends before its pixel data.",
            "Copy or export the file again.",
        )
    modality = modality_tag(header)
    what = f"a DICOM object of modality {modality}" if modality else "a DICOM object"
    return MedrovError(
        ErrorCode.NO_PIXELS,
        f"This is {what} without pixel data.",
        "Give the image files of the study: reports, waveforms, plans and DICOMDIR files contain no image.",
    )


def storage_class(header: pydicom.Dataset) -> str:
    """Return (0008,0016) SOP Class UID without padding; empty if it is missing."""
    return str(header.get("SOPClassUID") or "").strip(" \0")


def is_image_class(sop_class: str) -> bool | None:
    """Return whether a storage class is one of images; null if it is not known to be one of either."""
    if sop_class == _RADIOTHERAPY_IMAGE:
        return True
    return False if _NO_IMAGE_CLASSES.fullmatch(sop_class) else None


def modality_tag(header: pydicom.Dataset) -> str:
    """Return (0008,0060) Modality, or an empty text if it is missing or not a plain code."""
    value = str(header.get("Modality") or "").strip().upper()
    return value if re.fullmatch(r"[A-Z]{1,16}", value) else ""


def pixel_options(header: pydicom.Dataset, element: PixelElement) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options of pydicom's decoders, and warnings about attributes that were assumed.

    Missing attributes that a decoder needs are left out.

    Raises
    ------
    MedrovError
        ``bad_metadata`` if a size is missing or invalid.
    """
    sizes = {
        "rows": _whole(header, "Rows"),
        "columns": _whole(header, "Columns"),
        "samples_per_pixel": _whole(header, "SamplesPerPixel"),
        "bits_allocated": _whole(header, "BitsAllocated"),
    }
    if None in sizes.values():
        raise bad_metadata(
            "Rows, Columns, Samples per Pixel, Bits Allocated or Number of Frames is missing or invalid"
        )
    if min(size for size in sizes.values() if size is not None) < 1:
        raise bad_metadata("Rows, Columns, Samples per Pixel, Bits Allocated or Number of Frames is below 1")
    options: dict[str, Any] = {**sizes, "pixel_keyword": element.keyword}
    photometric = str(header.get("PhotometricInterpretation") or "").strip(" \0").upper()
    if photometric:
        options["photometric_interpretation"] = photometric
    sign = _whole(header, "PixelRepresentation")
    if sign in (0, 1):
        options["pixel_representation"] = sign
    if element.vr:
        options["pixel_vr"] = element.vr
    planar = _whole(header, "PlanarConfiguration")
    options["planar_configuration"] = planar if planar in (0, 1) else 0
    is_assumed = options["samples_per_pixel"] > 1 and planar not in (0, 1)
    return options, (PLANAR_WARNING,) if is_assumed else ()


def _whole(header: pydicom.Dataset, keyword: str) -> int | None:
    value = number(header, keyword)
    return int(value) if value is not None and value == int(value) else None


def bits_of(header: pydicom.Dataset) -> tuple[int | None, int | None]:
    """Return Bits Stored and High Bit; null if missing or malformed."""
    return _whole(header, "BitsStored"), _whole(header, "HighBit")


def stated_frames(header: pydicom.Dataset) -> int | None:
    """Return Number of Frames; null if it is missing, empty or 0.

    Raises
    ------
    MedrovError
        ``bad_metadata`` if it is malformed or negative.
    """
    found = numbers(header, "NumberOfFrames")
    if not found and ("NumberOfFrames" not in header or not header.get_item("NumberOfFrames").value):
        return None
    if len(set(found)) != 1 or found[0] != int(found[0]):
        raise bad_metadata(
            "Rows, Columns, Samples per Pixel, Bits Allocated or Number of Frames is missing or invalid"
        )
    if found[0] < 0:
        raise bad_metadata("Rows, Columns, Samples per Pixel, Bits Allocated or Number of Frames is below 1")
    return int(found[0]) or None


def check_size(options: dict[str, Any], frames: int, limits: InputLimits) -> None:
    """Check the size in the header.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    rows, columns = options["rows"], options["columns"]
    if rows * columns > limits.pixels_per_frame:
        raise too_large(f"has {rows} x {columns} pixels a frame; the limit is {limits.pixels_per_frame}")
    if frames > limits.frames:
        raise too_large(f"has {frames} frames; the limit is {limits.frames}")
    bits = rows * columns * options["samples_per_pixel"] * frames * options["bits_allocated"]
    if bits > 8 * limits.inflated_bytes:
        raise too_large(f"holds more than {limits.inflated_bytes} bytes of pixels")
