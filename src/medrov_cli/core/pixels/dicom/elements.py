"""Numbers of DICOM elements, including those in a value representation or form that the standard forbids.

They are read by hand because pydicom raises on a decimal comma, and returns a number in a wrong text
representation letter by letter.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pydicom
from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement

_BINARY_CODES = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "SV": "q", "UV": "Q", "FL": "f", "FD": "d"}
"""Binary value representations (PS3.5, 6.2) and their codes in `struct`."""

_TEXT_VRS = frozenset({"AE", "AS", "CS", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UT"})

_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")

_BLANKS = " \0\t\r\n\f\v"

_REPORTED = (
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("EstimatedRadiographicMagnificationFactor", "DistanceSourceToDetector", "DistanceSourceToPatient"),
)
"""Keywords whose repairs are reported: those that change the picture or a size."""


@dataclass(frozen=True, slots=True)
class ElementNumbers:
    """Numbers of one element.

    Attributes
    ----------
    components
        Finite numbers in the order of the element; null for an empty or malformed one.
    repair
        What was repaired, without a value of the file; empty if nothing was.
    """

    components: tuple[float | None, ...] = ()
    repair: str = ""


def read_numbers(dataset: pydicom.Dataset, keyword: str) -> ElementNumbers:
    """Return the numbers of an element.

    The value representation in the file says how the bytes are read (PS3.5, 7.1.2); in an implicit file,
    and for UN, it is that of the data dictionary. In text, blanks and NUL around a number are removed, and
    a decimal comma is read as a decimal point: DS has no comma (PS3.5, 6.2). Empty components at the end
    are dropped.
    """
    try:
        element: Any = dataset.get_item(keyword) if keyword in dataset else None
        if element is None or element.value is None:
            return ElementNumbers()
        if isinstance(element, RawDataElement):
            return _raw_numbers(element)
        values: Any = element.value
    except (TypeError, ValueError, AttributeError, KeyError, NotImplementedError, struct.error):
        return ElementNumbers()
    if isinstance(values, bytes):
        values = values.decode("latin-1")
    if isinstance(values, str):
        return _text_numbers(values, "")
    return _value_numbers(values if hasattr(values, "__iter__") else [values])


def _raw_numbers(element: RawDataElement) -> ElementNumbers:
    expected = dictionary_VR(element.tag)
    vr = element.VR if element.VR not in (None, "UN") else expected.split(" or ")[0]
    repair = "" if vr in expected else f"VR {vr} instead of {expected}"
    data = element.value or b""
    if vr in _BINARY_CODES:
        code = _BINARY_CODES[vr]
        count, rest = divmod(len(data), struct.calcsize(code))
        order = "<" if element.is_little_endian else ">"
        values = () if rest else struct.unpack(f"{order}{count}{code}", data)
        return ElementNumbers(tuple(map(_finite, values)), repair)
    if vr not in _TEXT_VRS:
        return ElementNumbers()
    return _text_numbers(data.decode("latin-1"), repair)


def _text_numbers(text: str, repair: str) -> ElementNumbers:
    parts = [part.strip(_BLANKS) for part in text.split("\\")]
    while parts and not parts[-1]:
        parts.pop()
    components = tuple(_number(part) for part in parts)
    commas = any("," in part and value is not None for part, value in zip(parts, components, strict=True))
    notes = [note for note in (repair, "decimal comma" if commas else "") if note]
    return ElementNumbers(components, ", ".join(notes))


def _value_numbers(values: Iterable[Any]) -> ElementNumbers:
    parts = [value if isinstance(value, (int, float)) else str(value) for value in values]
    components = tuple(_number(part) if isinstance(part, str) else _finite(part) for part in parts)
    return ElementNumbers(components)


def _number(text: str) -> float | None:
    text = text.strip(_BLANKS)
    return _finite(float(text.replace(",", "."))) if _NUMBER.fullmatch(text) else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def numbers(dataset: pydicom.Dataset, keyword: str) -> list[float]:
    """Return the numbers of an element; an empty list if it is missing or one of them is malformed."""
    components = read_numbers(dataset, keyword).components
    found = [number for number in components if number is not None]
    return found if len(found) == len(components) else []


def number(dataset: pydicom.Dataset, keyword: str) -> float | None:
    """Return the value of an element with one value; null if it is missing or malformed.

    Several equal values are one value; several different ones are malformed.
    """
    found = set(numbers(dataset, keyword))
    return found.pop() if len(found) == 1 else None


def has_value(dataset: pydicom.Dataset, keyword: str) -> bool:
    """Return whether an element has a value that is not blank, readable or not."""
    if keyword not in dataset:
        return False
    value = dataset.get_item(keyword).value  # without conversion, which may fail
    return bool(value.strip(_BLANKS.encode()) if isinstance(value, bytes) else value)


def as_signed(value: float, bits: int, signed: bool) -> float:
    """Return an integer whose bits were read with the wrong sign as the pixels would have it.

    Parameters
    ----------
    value
        As read in its own value representation.
    bits
        Of the word.
    signed
        Whether the pixels are signed.
    """
    word = 1 << bits
    if signed:
        return value - word if word // 2 <= value < word else value
    return value + word if -word // 2 <= value < 0 else value


def repair_warnings(datasets: Iterable[pydicom.Dataset]) -> tuple[str, ...]:
    """Return a warning that names the elements whose numbers were repaired."""
    notes: dict[str, None] = {}
    for dataset in datasets:
        for keyword in _REPORTED:
            found = read_numbers(dataset, keyword)
            several = (
                len(found.components) > 1 and keyword in _SINGLE and number(dataset, keyword) is not None
            )
            if None in found.components:
                continue
            repair = ", ".join(note for note in (found.repair, "repeated value" if several else "") if note)
            if repair:
                notes[f"{dictionary_description(tag_for_keyword(keyword) or 0)} ({repair})"] = None
    if not notes:
        return ()
    which = "; ".join(notes)
    return (f"Numbers of the DICOM header that are not in the form of the standard were repaired: {which}.",)


_SINGLE = frozenset({"RescaleSlope", "RescaleIntercept", "EstimatedRadiographicMagnificationFactor"})
"""Keywords of `_REPORTED` with one value (PS3.6)."""
