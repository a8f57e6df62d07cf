"""Header of a DICOM file in the encoding that its data set really has.

It is detected by hand because pydicom does not report the encoding that it found, which is needed for the
pixel data, and inflates a deflated data set without a limit.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO, cast

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import data_element_generator, read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.inflated_stream import InflatedStream
from medrov_cli.core.pixels.sniff import is_vr

_PIXEL_GROUP = 0x7FE0
_MAX_ELEMENTS = 20_000
"""Number of elements of a header, without those in sequences: the standard defines about 5,000."""

_HEAD_BYTES = 12
_INFLATED_BUFFER = 1 << 16
_UNDEFINED_LENGTH = 0xFFFFFFFF

GE_PRIVATE = UID("1.2.840.113619.5.2")
"""Implicit VR with a little-endian header and big-endian pixel data, of GE."""

GUESSED_WARNING = "The DICOM file does not name its transfer syntax; it was guessed from the header."
BAD_VR_WARNING = "An element of the DICOM header has an invalid value representation and was skipped."
ENCODING_WARNING = (
    "The data set is not encoded as the file meta information says (explicit or implicit VR, byte order); "
    "its real encoding was used."
)


@dataclass(frozen=True, slots=True)
class EncodedHeader:
    """Header of a file, and how its pixel data is encoded.

    Attributes
    ----------
    dataset
        All elements before the pixel data; ``original_encoding`` is the real one.
    stream
        Stream at the first byte of the pixel data element.
    transfer_syntax
        Of the pixel data: the named one, if the data set does not contradict it.
    is_cut
        Whether the file ends within an element.
    warnings
        Warnings for the user.
    """

    dataset: pydicom.Dataset
    stream: BinaryIO
    transfer_syntax: UID
    is_cut: bool
    warnings: tuple[str, ...]


def read_header(file: BinaryIO, limits: InputLimits, *, last_group: int = _PIXEL_GROUP - 1) -> EncodedHeader:
    """Read the header of a file from its start, in the encoding of its first elements (PS3.5, 7.1).

    Parameters
    ----------
    file
        At its start.
    limits
        Limits of inflation.
    last_group
        Group after which nothing is read; by default all elements before the pixel data are read.

    Raises
    ------
    MedrovError
        ``bad_metadata`` or ``too_large``.
    """
    stream, meta = _data_set(file, limits)
    named = UID(str(meta.get("TransferSyntaxUID") or ""))
    stated = _stated_encoding(named)
    head = stream.read(_HEAD_BYTES)
    stream.seek(-len(head), io.SEEK_CUR)
    real = _real_encoding(head, stated)
    dataset, is_cut, warnings = _read_elements(stream, *real, last_group)
    dataset.set_original_encoding(*real)
    dataset.file_meta = meta
    transfer_syntax, syntax_warnings = _pixel_syntax(named, stated, real)
    return EncodedHeader(dataset, stream, transfer_syntax, is_cut, (*syntax_warnings, *warnings))


def _read_elements(
    stream: BinaryIO, implicit: bool, little_endian: bool, last_group: int
) -> tuple[pydicom.Dataset, bool, tuple[str, ...]]:
    """Read the elements before the pixel data, whether the file ends in one of them, and warnings.

    pydicom takes an element without a valid value representation for an implicit one, whose length then
    exceeds the file. It is skipped if the next element follows the short explicit form.
    """
    elements: dict[BaseTag, DataElement | RawDataElement] = {}
    end = stream.tell()
    warnings: tuple[str, ...] = ()
    count = 0

    def is_behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return tag.group > last_group or tag.group == _PIXEL_GROUP

    while True:
        try:
            for element in data_element_generator(stream, implicit, little_endian, is_behind):
                if _is_short(element):
                    raise EOFError
                count += 1
                if count > _MAX_ELEMENTS:
                    raise bad_metadata(f"it has more than {_MAX_ELEMENTS} elements")
                elements[element.tag] = element
                end = stream.tell()
            return pydicom.Dataset(elements), False, warnings
        except EOFError:
            resumed = None if implicit else _end_of_invalid(stream, end, little_endian)
            if resumed is None:
                return pydicom.Dataset(elements), True, warnings
            end, warnings = stream.seek(resumed), (BAD_VR_WARNING,)


def _is_short(element: DataElement | RawDataElement) -> bool:
    """Return whether the file ends within the value of an element, which pydicom does not report."""
    if not isinstance(element, RawDataElement) or element.value is None:
        return False
    return len(element.value) < element.length != _UNDEFINED_LENGTH


def _end_of_invalid(stream: BinaryIO, start: int, little_endian: bool) -> int | None:
    """Return the end of an element with an invalid value representation; null if it is not one."""
    order = "<" if little_endian else ">"
    stream.seek(start)
    head = stream.read(8)
    if len(head) < 8 or is_vr(head[4:6]):
        return None
    end = stream.seek(struct.unpack(f"{order}H", head[6:8])[0], io.SEEK_CUR)
    following = stream.read(6)
    if len(following) < 6 or not is_vr(following[4:6]):
        return None
    groups = [struct.unpack(f"{order}H", part[:2])[0] for part in (head, following)]
    return end if groups[0] <= groups[1] else None


def _data_set(file: BinaryIO, limits: InputLimits) -> tuple[BinaryIO, pydicom.dataset.FileMetaDataset]:
    """Return the stream at the start of the data set, inflated if it is deflated, and the file meta."""
    start = file.read(4096)
    file.seek(0)
    if str(DeflatedExplicitVRLittleEndian).encode() in start:
        deflated = _inflate(file, start, limits)
        if deflated is not None:
            return deflated
    meta = read_partial(file, stop_when=lambda _tag, _vr, _length: True, force=True).file_meta
    return file, meta


def _stated_encoding(named: UID) -> tuple[bool, bool] | None:
    """Return whether the named syntax has implicit VR and little endian; null if none is named."""
    if not named:
        return None
    if named in (ImplicitVRLittleEndian, GE_PRIVATE):
        return True, True
    return False, named != ExplicitVRBigEndian


def _real_encoding(head: bytes, stated: tuple[bool, bool] | None) -> tuple[bool, bool]:
    """Return implicit VR and little endian as the first element of a data set shows them.

    Groups of a header are below 0x0100 or odd, so that the smaller of both readings is the group. The two
    letters of a value representation are no plausible length: it would be odd or above 16 kB.
    """
    if len(head) < _HEAD_BYTES:
        return stated or (True, True)
    low, high = struct.unpack("<H", head[:2])[0], struct.unpack(">H", head[:2])[0]
    little_endian = low < high or (low == high and (stated is None or stated[1]))
    if is_vr(head[4:6]):
        return False, little_endian
    plausible = struct.unpack("<I", head[4:8])[0] < 1 << 16  # first elements are short
    if stated is not None and not stated[0] and not plausible:
        return stated
    return (True, True) if plausible or stated is None else stated


def _pixel_syntax(
    named: UID, stated: tuple[bool, bool] | None, real: tuple[bool, bool]
) -> tuple[UID, tuple[str, ...]]:
    if not real[1]:
        found = ExplicitVRBigEndian
    else:
        found = ImplicitVRLittleEndian if real[0] else ExplicitVRLittleEndian
    if stated is None:
        return found, (GUESSED_WARNING,)
    if stated == real:
        return named, ()
    native = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, GE_PRIVATE)
    if named in native:
        return (named if named == GE_PRIVATE else found), (ENCODING_WARNING,)
    if not real[1]:
        raise bad_metadata("the data set is big endian under a transfer syntax that is little endian")
    return named, (ENCODING_WARNING,)


def _inflate(
    file: BinaryIO, start: bytes, limits: InputLimits
) -> tuple[BinaryIO, pydicom.dataset.FileMetaDataset] | None:
    """Open a deflated data set (PS3.5, A.5), which is inflated as far as it is read; null for another one."""
    at = 132 if start[128:132] == b"DICM" else 0
    data_at = _meta_end(start, at)
    meta = pydicom.dataset.FileMetaDataset(read_dataset(io.BytesIO(start[at:data_at]), False, True))
    if str(meta.get("TransferSyntaxUID") or "").strip(" \0") != DeflatedExplicitVRLittleEndian:
        return None
    file.seek(data_at)
    return cast(BinaryIO, io.BufferedReader(InflatedStream(file, limits), _INFLATED_BUFFER)), meta


def _meta_end(start: bytes, at: int) -> int:
    """Return where the file meta information ends: at the first element of another group (PS3.10, 7.1)."""
    while start[at : at + 2] == b"\x02\x00" and is_vr(start[at + 4 : at + 6]):
        is_long = start[at + 4 : at + 6] in (b"OB", b"UN", b"UT", b"OW", b"SQ")
        code, length_at = ("<I", at + 8) if is_long else ("<H", at + 6)
        size = struct.calcsize(code)
        at = length_at + size + struct.unpack(code, start[length_at : length_at + size].ljust(size, b"\0"))[0]
    return at
