"""Detection of the kind of a file by its first bytes, and otherwise by its name."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePath

from medrov_cli.core.pixels.companions import header_of
from medrov_cli.core.pixels.compression import inflate_head, read_start
from medrov_cli.core.pixels.nifti.recognition import nifti_version

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
    NRRD = "NRRD"
    METAIMAGE = "MetaImage"
    NETPBM = "Netpbm"
    JPEG2000 = "JPEG 2000"
    AVIF = "AVIF"
    HEIC = "HEIC"
    VIDEO = "video"


SUFFIXES = {
    ".dcm": Kind.DICOM,
    ".dicom": Kind.DICOM,
    ".ima": Kind.DICOM,
    ".nii": Kind.NIFTI,
    ".nrrd": Kind.NRRD,
    ".nhdr": Kind.NRRD,
    ".mha": Kind.METAIMAGE,
    ".mhd": Kind.METAIMAGE,
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
    **dict.fromkeys((".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm"), Kind.NETPBM),
    **dict.fromkeys((".jp2", ".j2k", ".jpc", ".j2c", ".jpf", ".jpx", ".jph", ".jhc"), Kind.JPEG2000),
    ".avif": Kind.AVIF,
    ".heic": Kind.HEIC,
    ".heif": Kind.HEIC,
    ".hif": Kind.HEIC,
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
"""Kinds by the ending of a name, in lower case; compressed NIfTI has two endings."""

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"NRRD000", Kind.NRRD),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", Kind.JPEG2000),
    (b"\xff\x4f\xff\x51", Kind.JPEG2000),  # a codestream without a file around it
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
    (b"\x1aE\xdf\xa3", Kind.VIDEO),  # Matroska, WebM
    (b"\x00\x00\x01\xba", Kind.VIDEO),  # MPEG program stream
    (b"\x00\x00\x01\xb3", Kind.VIDEO),  # MPEG video
    (b"0&\xb2u\x8ef\xcf\x11", Kind.VIDEO),  # ASF, WMV
    (b"FLV\x01", Kind.VIDEO),
)

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"})
"""ISO base media brands of still images, which are not videos."""

_COMPRESSED_ENDINGS = (".gz", ".bz2", ".xz")

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
    header = header_of(path)
    if header is not None and sniff(header) is Kind.NIFTI:
        return Kind.NIFTI
    with open(path, "rb") as file:  # noqa: PTH123 - a path may contain undecodable bytes
        return sniff_head(read_start(file, HEAD_BYTES))


def kind_of_name(path: str | os.PathLike[str]) -> Kind | None:
    """Return the kind of a file by its name, or null."""
    name = PurePath(path).name.casefold()
    plain = next((name.removesuffix(end) for end in _COMPRESSED_ENDINGS if name.endswith(end)), None)
    if plain is not None:
        return Kind.NIFTI if plain.endswith(".nii") else None
    return SUFFIXES.get(PurePath(name).suffix)


def sniff_head(head: bytes) -> Kind | None:
    """Return the kind of a file by its first bytes, or null.

    Parameters
    ----------
    head
        The first `HEAD_BYTES` bytes, or the whole file if it is shorter; see `compression.read_start`.
    """
    if head[128:132] == b"DICM":
        return Kind.DICOM
    by_magic = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if by_magic is not None:
        return by_magic
    return next((kind for test, kind in _TESTS if test(head)), None)


def _is_nifti(head: bytes) -> bool:
    return nifti_version(inflate_head(head, HEAD_BYTES)) is not None


_META_LINE = re.compile(rb"\s*[A-Za-z]\w*[ \t]*=[^\r\n]*[\r\n]")
_META_DIMENSIONS = re.compile(rb"(?:^|[\r\n])[ \t]*NDims[ \t]*=[ \t]*\d")


def _is_metaimage(head: bytes) -> bool:
    return _META_LINE.match(head) is not None and _META_DIMENSIONS.search(head) is not None


_NETPBM = re.compile(rb"P(?:[1-6](?:\s+|#[^\n]*\n)+\d|7\n|[Ff]\s+\d)")


def _is_netpbm(head: bytes) -> bool:
    return _NETPBM.match(head) is not None


def _still_kind(head: bytes) -> Kind | None:
    """Return the kind of a still image in an ISO base media file by its brands; null for others."""
    if head[4:8] != b"ftyp":
        return None
    end = min(struct.unpack(">I", head[:4])[0], len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
    if head[8:12] not in _AVIF_BRANDS | _HEIC_BRANDS:
        return None
    return Kind.AVIF if brands & _AVIF_BRANDS else Kind.HEIC


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
        return _still_kind(head) is None
    if head[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime before brands existed
        return True
    return len(head) > 376 and all(head[at] == 0x47 for at in (0, 188, 376))  # MPEG transport stream


def _is_bare_dicom(head: bytes) -> bool:
    """Return whether the bytes begin with two data elements of group 0002 or 0008 (no preamble)."""
    return any(_is_element_pair(head, order) for order in "<>")


def is_vr(code: bytes) -> bool:
    """Return whether two bytes are the code of a DICOM value representation."""
    return code.decode("latin-1") in _DICOM_VRS


def _is_element_pair(head: bytes, order: str) -> bool:
    if len(head) < 12:
        return False
    group, element, length = struct.unpack(f"{order}HHI", head[:8])
    if group not in _FIRST_GROUPS or element > 0x0020:
        return False
    if is_vr(head[4:6]):
        length = struct.unpack(f"{order}H", head[6:8])[0]
    second = head[8 + length : 10 + length]
    return len(second) == 2 and struct.unpack(f"{order}H", second)[0] in _FIRST_GROUPS


_FIRST_GROUPS = (0x0002, 0x0008)
"""Groups of the first elements of a DICOM file without preamble (PS3.10, 7.1)."""

_TESTS: tuple[tuple[Callable[[bytes], bool], Kind], ...] = (
    (_is_nifti, Kind.NIFTI),
    (_is_webp, Kind.WEBP),
    (_is_bmp, Kind.BMP),
    (lambda head: _still_kind(head) is Kind.AVIF, Kind.AVIF),
    (lambda head: _still_kind(head) is Kind.HEIC, Kind.HEIC),
    (_is_netpbm, Kind.NETPBM),
    (_is_metaimage, Kind.METAIMAGE),
    (_is_video, Kind.VIDEO),
    (_is_bare_dicom, Kind.DICOM),
)
"""Tests for content without a fixed beginning; the least specific test is last."""
