"""Encoding of sequences as explicit VR little endian, with the bytes that pydicom writes.

It is written by hand because pydicom opens a buffer for each element and searches each item for ambiguous
value representations: for a report on 300 slices that takes longer than everything else. Items that occur
several times (codes, references to an image) are encoded once. A sequence with anything unusual is left to
pydicom.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element, write_dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

LEAST_ITEMS = 8
"""Sequences with fewer items, their own included, are left to pydicom."""

CHARACTER_SET = "ISO_IR 192"
_ENCODING = "utf-8"
_PYDICOM_ENCODINGS = ["utf8"]
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_TEXTS = {**dict.fromkeys(("CS", "LO", "SH", "UC", "UT", "LT", "ST"), " "), "UI": "\0"}
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_LONGEST = 0xFFFF
_ITEM = b"\xfe\xff\x00\xe0"


class _UnusualError(Exception):
    """An element is left to pydicom."""


def write_dataset_file(path: Path, dataset: Dataset) -> None:
    """Write a data set in Unicode (``ISO_IR 192``) as a file, explicit VR little endian.

    Parameters
    ----------
    path
        File; replaced if it exists.
    dataset
        Data set with its file meta information.
    """
    encoded = _encoded_sequences(dataset)
    plain = Dataset({tag: element for tag, element in dataset.items() if tag not in encoded})
    correct_ambiguous_vr(plain, is_little_endian=True)
    ends = [*sorted(encoded), None]
    first = _below(plain, None, ends[0])
    first.file_meta = dataset.file_meta
    first.save_as(path, enforce_file_format=True)
    with path.open("ab") as stream:
        for tag, end in pairwise(ends):
            if tag is None:
                break
            stream.write(_head(tag, "SQ", len(encoded[tag])) + encoded[tag])
            stream.write(_rest(_below(plain, tag, end)))


def _encoded_sequences(dataset: Dataset) -> dict[BaseTag, bytes]:
    """Return the values of the long sequences of a data set."""
    found: dict[BaseTag, bytes] = {}
    encoded: dict[int, bytes] = {}
    for tag, element in dataset.items():
        if element.VR != "SQ" or not isinstance(element, DataElement):
            continue
        if _count(element, LEAST_ITEMS) >= LEAST_ITEMS:
            with suppress(_UnusualError):
                found[tag] = b"".join(_item(item, encoded) for item in element.value)
    return found


def _below(dataset: Dataset, start: BaseTag | None, end: BaseTag | None) -> Dataset:
    """Return the elements between two tags."""
    return Dataset(
        {
            tag: element
            for tag, element in dataset.items()
            if (start is None or tag > start) and (end is None or tag < end)
        }
    )


def _rest(dataset: Dataset) -> bytes:
    """Return elements as pydicom writes them."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset, CHARACTER_SET)
    return buffer.getvalue()


def _count(element: DataElement, most: int) -> int:
    """Return the number of items of a sequence with those of its items, as far as it is below a limit."""
    total = len(element.value)
    for item in element.value:
        if total >= most:
            break
        total += sum(_count(one, most) for one in item if one.VR == "SQ")
    return total


def _item(item: Dataset, encoded: dict[int, bytes]) -> bytes:
    """Return an item with its tag and length; ``encoded`` holds those of the same object."""
    known = encoded.get(id(item))
    if known is None:
        if getattr(item, "is_undefined_length_sequence_item", False) or "SpecificCharacterSet" in item:
            raise _UnusualError
        elements = sorted(item.items(), key=lambda pair: pair[0])
        content = b"".join(_element(tag, element, encoded) for tag, element in elements)
        known = encoded[id(item)] = _ITEM + struct.pack("<I", len(content)) + content
    return known


def _element(tag: BaseTag, element: DataElement | RawDataElement, encoded: dict[int, bytes]) -> bytes:
    vr = element.VR
    is_plain = isinstance(element, DataElement) and not element.is_undefined_length
    if not is_plain or vr is None or len(vr) != 2 or tag.element == 0 or element.value is None:
        raise _UnusualError
    value: Any = element.value
    if vr == "SQ":
        content = b"".join(_item(one, encoded) for one in value)
    elif vr in _TEXTS:
        content = _text(value, _TEXTS[vr])
    elif vr in _NUMBERS:
        content = _numbers(value, _NUMBERS[vr])
    else:
        return _by_pydicom(element)
    return _head(tag, vr, len(content)) + content


def _head(tag: BaseTag, vr: str, length: int) -> bytes:
    """Return tag, value representation and length of an element."""
    head = struct.pack("<HH2s", tag.group, tag.element, vr.encode("ascii"))
    if vr in _LONG:
        return head + struct.pack("<HI", 0, length)
    if length > _LONGEST:
        raise _UnusualError
    return head + struct.pack("<H", length)


def _text(value: Any, padding: str) -> bytes:
    if isinstance(value, MultiValue | list | tuple):
        value = "\\".join(map(str, value))
    if not isinstance(value, str):
        raise _UnusualError
    content = value.encode(_ENCODING)
    return content + padding.encode("ascii") if len(content) % 2 else content


def _numbers(value: Any, code: str) -> bytes:
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    to_number: Callable[[Any], Any] = float if code in "fd" else int
    if value == "":
        return b""
    return struct.pack(f"<{len(values)}{code}", *map(to_number, values))


def _by_pydicom(element: DataElement | RawDataElement) -> bytes:
    """Return an element with a value that has several forms: a date, a decimal text, a name."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_data_element(buffer, element, _PYDICOM_ENCODINGS)
    return buffer.getvalue()
