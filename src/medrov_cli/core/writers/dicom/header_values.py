"""Elements of a source image that its results refer to or repeat, valid and in Unicode.

Patient and study modules of a result have to be those of its images. They are copied here and nowhere else.
Values that violate their value representation are left out, and numbers with too many digits rounded: written
objects are strict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from functools import cache, lru_cache
from typing import Any

import pydicom
from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import IS, DSfloat, PersonName, validate_value

from medrov_cli.core.datasets.cases import hashed_case
from medrov_cli.core.pixels.dicom.pixel_element import storage_class
from medrov_cli.core.pixels.dicom.slide_class import SLIDE_CLASS
from medrov_cli.core.records.frame import hash_uid
from medrov_cli.core.settings.choices import Phi

REQUIRED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_NAMES = {
    "StudyInstanceUID": "Study Instance UID",
    "SeriesInstanceUID": "Series Instance UID",
    "SOPInstanceUID": "SOP Instance UID",
    "SOPClassUID": "SOP Class UID",
}
_HASHED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")

IMAGE_ELEMENTS = (
    *("SOPClassUID", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"),
    *("PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation", "PixelSpacing"),
    *("ImagerPixelSpacing", "PixelAspectRatio", "ImagePositionPatient", "ImageOrientationPatient"),
    *("SliceThickness", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    *("VOILUTFunction", "VOILUTSequence", "SpacingBetweenSlices"),
    *("PositionReferenceIndicator", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"),
)
"""Elements that describe the image and say nothing about the patient."""

_DATES = tuple(
    f"{name}{kind}" for name in ("Content", "Acquisition", "Series", "Study") for kind in ("Date", "Time")
)
"""Elements of which the date of a result is made."""

_TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
"""Elements that patient and study modules have at least empty (PS3.3, C.7.1.1 and C.7.2.1)."""

_PER_FRAME = tag_for_keyword("PerFrameFunctionalGroupsSequence")
"""Of a slide it is the place of each tile, of which there can be a hundred thousand; no result needs it."""

_METHODS = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")

_SHORT = 128
"""Bytes of a value that is worth keeping."""

_PIXEL_GROUPS = frozenset({0x5400, 0x7FE0, *range(0x5000, 0x5100), *range(0x6000, 0x6100)})
_UID = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+")
_SEXES = ("M", "F", "O")


def missing_uid(header: pydicom.Dataset) -> str:
    """Return the name of the first absent or invalid UID that a result has to refer to; empty if none."""
    for keyword in REQUIRED_UIDS:
        value = str(header.get(keyword) or "").strip(" \0")
        if len(value) > 64 or not _UID.fullmatch(value):
            return _NAMES[keyword]
    return ""


def source_elements(header: pydicom.Dataset, phi: Phi, *, patient: bool) -> Dataset:
    """Return the elements of a source image for its results.

    Parameters
    ----------
    header
        Header with the UIDs of `REQUIRED_UIDS`.
    phi
        With ``hash``, UIDs and the patient are pseudonyms, and nothing else of patient and study is kept.
    patient
        Whether the modules of patient and study are needed, and not only those of the image.
    """
    found = Dataset()
    is_slide = storage_class(header) == SLIDE_CLASS
    wanted = list(_wanted_tags(phi))
    if patient and phi is not Phi.HASH:
        wanted += [
            tag for tag in tuple(header.keys()) if not tag.is_private and tag.group not in _PIXEL_GROUPS
        ]
    present = [tag for tag in dict.fromkeys(wanted) if tag in header and not (tag == _PER_FRAME and is_slide)]
    _add_elements(found, header, present, keeps_values=not patient)
    for keyword in REQUIRED_UIDS:
        setattr(found, keyword, str(header.get(keyword)).strip(" \0"))
    if patient:
        _complete(found, header, phi)
    if phi is Phi.HASH:
        for keyword in _HASHED_UIDS:
            if keyword in found:
                setattr(found, keyword, hash_uid(str(found[keyword].value)))
    found.SpecificCharacterSet = "ISO_IR 192"
    return found


def _complete(found: Dataset, header: pydicom.Dataset, phi: Phi) -> None:
    """Add the empty elements of patient and study, and pseudonyms."""
    for keyword in _TYPE_2:
        if keyword not in found:
            setattr(found, keyword, "")
    if found.PatientSex not in _SEXES:
        found.PatientSex = ""
    if phi is Phi.HASH:
        found.PatientID = _pseudonym(header)
        found.PatientName = f"{found.PatientID}^" if found.PatientID else ""
        found.PatientIdentityRemoved = "YES"
        found.DeidentificationMethod = "medrov detect --phi hash"
    elif found.get("PatientIdentityRemoved") == "YES" and not any(map(found.get, _METHODS)):
        found.DeidentificationMethod = "not stated in the images"  # type 1C


def _pseudonym(header: pydicom.Dataset) -> str:
    """Return the pseudonym of a patient: equal ids have equal ones; empty without an id."""
    issuer, own = (str(header.get(key) or "").strip(" \0") for key in ("IssuerOfPatientID", "PatientID"))
    return hashed_case(issuer, own) if own else ""


def _add_elements(
    found: Dataset, header: pydicom.Dataset, tags: Sequence[BaseTag], *, keeps_values: bool
) -> None:
    """Copy the valid elements among some."""
    characters = header.get("SpecificCharacterSet")
    characters = None if characters is None else str(characters)
    for tag in tags:
        copied = _known_element(header, tag, characters) if keeps_values else None
        if copied is None:
            _add_valid(found, header, tag)
        else:
            found.add(copied)


@cache
def _wanted_tags(phi: Phi) -> tuple[BaseTag, ...]:
    keywords = (*IMAGE_ELEMENTS, *_HASHED_UIDS, *(() if phi is Phi.HASH else _DATES))
    return tuple(Tag(keyword) for keyword in keywords)


def _known_element(header: pydicom.Dataset, tag: BaseTag, characters: str | None) -> DataElement | None:
    """Return a copy of the valid element that the same bytes gave before: images of a series have many.

    Null for sequences, UIDs (which are changed later), long values, and values that are not valid.
    """
    raw: Any = header.get_item(tag)
    if not isinstance(raw, RawDataElement) or not isinstance(raw.value, bytes) or len(raw.value) > _SHORT:
        return None
    if (raw.VR or dictionary_VR(tag)) in ("SQ", "UI", "UN"):
        return None
    found = _valid_raw(raw._replace(value_tell=0), characters)
    return None if found is None else copy(found)


@lru_cache(maxsize=256)
def _valid_raw(raw: RawDataElement, characters: str | None) -> DataElement | None:
    """Return the valid element of some bytes, for the character set of their header."""
    header, valid = Dataset({raw.tag: raw}), Dataset()
    if characters is not None:
        header.SpecificCharacterSet = characters
    _add_valid(valid, header, raw.tag)
    return valid.get(raw.tag)


def _add_valid(found: Dataset, header: pydicom.Dataset, tag: pydicom.tag.BaseTag | int) -> None:
    """Copy one element, if its value is valid."""
    try:
        element = header[tag]
        copied = _valid(element)
    except Exception:  # noqa: BLE001 - damaged elements raise any exception; they are left out
        return
    if copied is not None:
        found.add(copied)


def _valid(element: DataElement) -> DataElement | None:
    if element.VR == "SQ":
        items = []
        for item in element.value:
            copied = Dataset()
            for tag in tuple(item.keys()):
                if not tag.is_private:
                    _add_valid(copied, item, tag)
            items.append(copied)
        return DataElement(element.tag, "SQ", pydicom.Sequence(items))
    if element.VR == "UN":
        return None
    if element.value is None or element.value == "":
        return DataElement(element.tag, element.VR, element.value)
    values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
    plain = [_plain(value, element.VR) for value in values]
    for value in plain:
        if isinstance(value, str):
            validate_value(element.VR, value, config.RAISE)
            if "\ufffd" in value:
                return None
    return DataElement(element.tag, element.VR, plain if len(plain) > 1 else plain[0])


def _plain(value: object, vr: str) -> object:
    """Return a text without its encoding, which is another one in the result, and a number of valid size."""
    if isinstance(value, (PersonName, str)):
        return str(value)
    if isinstance(value, (DSfloat, IS)):
        try:
            validate_value(vr, str(value), config.RAISE)
        except ValueError:  # too long: pydicom keeps the text of the file
            return DSfloat(float(value), auto_format=True) if isinstance(value, DSfloat) else IS(int(value))
    return value
