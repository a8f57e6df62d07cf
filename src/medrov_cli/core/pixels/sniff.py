"""Detection of the kind of a file by its first bytes, and otherwise by its name."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePath

HEAD_BYTES = 1024
"""Number of bytes for `sniff_head`: including the NIfTI magic and three MPEG-TS packets."""


class Kind(StrEnum):
    """Kinds of files that `medrov` reads, with one reader each."""

    DICOM = "DICOM"
    NIFTI = "NIfTI"
    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WebP"
    BMP = "BMP"
    GIF = "GIF"
    TIFF = "TIFF"
    VIDEO = "video"


_SUFFIXES = {
    ".dcm": Kind.DICOM,
    ".dicom": Kind.DICOM,
    ".ima": Kind.DICOM,
    ".nii": Kind.NIFTI,
    ".nii.gz": Kind.NIFTI,
    ".png": Kind.PNG,
    ".apng": Kind.PNG,
    ".jpg": Kind.JPEG,
    ".jpeg": Kind.JPEG,
    ".jpe": Kind.JPEG,
    ".webp": Kind.WEBP,
    ".bmp": Kind.BMP,
    ".gif": Kind.GIF,
    ".tif": Kind.TIFF,
    ".tiff": Kind.TIFF,
    ".mp4": Kind.VIDEO,
    ".m4v": Kind.VIDEO,
    ".mov": Kind.VIDEO,
    ".avi": Kind.VIDEO,
    ".mkv": Kind.VIDEO,
    ".webm": Kind.VIDEO,
    ".mpg": Kind.VIDEO,
    ".mpeg": Kind.VIDEO,
    ".wmv": Kind.VIDEO,
}

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
    (b"\x1aE\xdf\xa3", Kind.VIDEO),  # Matroska, WebM
    (b"\x00\x00\x01\xba", Kind.VIDEO),  # MPEG program stream
    (b"\x00\x00\x01\xb3", Kind.VIDEO),  # MPEG video
    (b"0&\xb2u\x8ef\xcf\x11", Kind.VIDEO),  # ASF, WMV
    (b"FLV\x01", Kind.VIDEO),
)

_STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"})
"""ISO base media brands of still images (HEIC, AVIF), which are not videos and not supported."""

_VR_CODES = "AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV"
_DICOM_VRS = frozenset(_VR_CODES[at : at + 2] for at in range(0, len(_VR_CODES), 2))
"""Value representations of explicit encodings (PS3.5, 6.2)."""


def sniff(path: str) -> Kind | None:
    """Return the kind of a file by its content, or null.

    Raises
    ------
    OSError
        If the file cannot be opened or read.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - a path may contain undecodable bytes
        return sniff_head(file.read(HEAD_BYTES))


def kind_of_name(path: str | os.PathLike[str]) -> Kind | None:
    """Return the kind of a file by its name, or null."""
    name = PurePath(path).name.casefold()
    return _SUFFIXES.get(".nii.gz" if name.endswith(".nii.gz") else PurePath(name).suffix)


def sniff_head(head: bytes) -> Kind | None:
    """Return the kind of a file by its first bytes, or null.

    Parameters
    ----------
    head
        The first `HEAD_BYTES` bytes, or the whole file if it is shorter.
    """
    if head[128:132] == b"DICM":
        return Kind.DICOM
    by_magic = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if by_magic is not None:
        return by_magic
    return next((kind for test, kind in _TESTS if test(head)), None)


def _inflate_head(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _is_any_nifti(head: bytes) -> bool:
    return _is_nifti(_inflate_head(head) if head[:2] == b"\x1f\x8b" else head)


def _is_nifti(head: bytes) -> bool:
    if len(head) < 348:
        return False
    sizes = struct.unpack("<i", head[:4]) + struct.unpack(">i", head[:4])
    return (348 in sizes and head[344:348] == b"n+1\x00") or (540 in sizes and head[4:8] == b"n+2\x00")


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_bmp(head: bytes) -> bool:
    # Text may also begin with "BM": the size of the second header distinguishes it.
    return head[:2] == b"BM" and len(head) >= 18 and head[14:18] in _BMP_HEADER_SIZES


_BMP_HEADER_SIZES = frozenset(struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124))


def _is_video(head: bytes) -> bool:
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    if head[4:8] == b"ftyp":
        return head[8:12] not in _STILL_BRANDS
    if head[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime before brands existed
        return True
    return len(head) > 376 and all(head[at] == 0x47 for at in (0, 188, 376))  # MPEG transport stream


def _is_bare_dicom(head: bytes) -> bool:
    """Return whether the bytes begin with two data elements of group 0002 or 0008 (no preamble)."""
    return any(_is_element_pair(head, order) for order in "<>")


def _is_element_pair(head: bytes, order: str) -> bool:
    if len(head) < 12:
        return False
    group, element, length = struct.unpack(f"{order}HHI", head[:8])
    if group not in _FIRST_GROUPS or element > 0x0020:
        return False
    if head[4:6].decode("latin-1") in _DICOM_VRS:
        length = struct.unpack(f"{order}H", head[6:8])[0]
    second = head[8 + length : 10 + length]
    return len(second) == 2 and struct.unpack(f"{order}H", second)[0] in _FIRST_GROUPS


_FIRST_GROUPS = (0x0002, 0x0008)
"""Groups of the first elements of a DICOM file without preamble (PS3.10, 7.1)."""

_TESTS: tuple[tuple[Callable[[bytes], bool], Kind], ...] = (
    (_is_any_nifti, Kind.NIFTI),
    (_is_webp, Kind.WEBP),
    (_is_bmp, Kind.BMP),
    (_is_video, Kind.VIDEO),
    (_is_bare_dicom, Kind.DICOM),
)
"""Tests for content without a fixed beginning; the least specific test is last."""
