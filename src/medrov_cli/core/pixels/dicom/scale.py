"""Parameters of the grey values of a frame, from a DICOM header."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pydicom

from medrov_cli.core.pixels.dicom.elements import as_signed, has_value, number
from medrov_cli.core.pixels.dicom.file import DicomFile
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.grey import GreyScale
from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.pixels.dicom.luts import SHORT_LUT_WARNING, ReadTable, lookup_table, views_of
from medrov_cli.core.pixels.dicom.pixel_element import modality_tag, storage_class
from medrov_cli.core.pixels.greyscale import IDENTITY

BAD_RESCALE_WARNING = "The rescale slope or intercept is invalid; stored values were used."
HALF_RESCALE_WARNING = (
    "One of rescale slope and intercept is missing or empty; slope 1 or intercept 0 was assumed."
)

_CT_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.2{part}" for part in ("", ".1", ".2"))
"""CT Image, Enhanced CT Image and Legacy Converted Enhanced CT Image Storage (PS3.4, B.5)."""

_FLOAT_RANGE = (-3.4e38, 3.4e38)

_PADDING = {
    "PixelData": (("PixelPaddingValue", "PixelPaddingRangeLimit"),),
    "FloatPixelData": (
        ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
        ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    ),
    "DoubleFloatPixelData": (
        ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
        ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    ),
}
"""Keywords of the padding value and its limit by kind of pixel data (PS3.3, C.7.5.1.1.2 and C.7.6.24)."""


@dataclass(frozen=True, slots=True)
class _Rescale:
    """Slope and intercept, whether the header states them, and a warning."""

    slope: float = IDENTITY[0]
    intercept: float = IDENTITY[1]
    is_stated: bool = False
    warnings: tuple[str, ...] = ()


def grey_scale(file: DicomFile, frame: int) -> GreyScale:
    """Return the conversion of the values of a frame to grey, from its header.

    Raises
    ------
    MedrovError
        ``bad_metadata`` if a lookup table that must be applied cannot be read.
    """
    header = file.header
    little_endian = bool(header.original_encoding[1])
    stored_range = _FLOAT_RANGE if file.layout is None else file.layout.range
    group = functional_group(header, "PixelValueTransformationSequence", frame)
    table = _first_table(header, "ModalityLUTSequence", little_endian, stored_range)
    rescale = _rescale_of(group)
    if table is not None:
        inputs = 0.0, float(2**table.table.bits - 1)
    else:
        ends = [end * rescale.slope + rescale.intercept for end in stored_range]
        inputs = min(ends), max(ends)
    views, warnings = views_of(functional_group(header, "FrameVOILUTSequence", frame), little_endian, inputs)
    modality = modality_tag(header)
    return GreyScale(
        modality_table=None if table is None else table.table,
        slope=rescale.slope,
        intercept=rescale.intercept,
        views=views,
        modality=modality,
        is_hu=modality == "CT" and table is None and rescale.is_stated and _says_hu(header, group),
        is_float=file.is_float,
        stored_bits=None if file.layout is None or file.layout.signed else file.layout.stored,
        padding=_padding(file),
        warnings=tuple(
            dict.fromkeys((*(() if table is None else table.warnings), *rescale.warnings, *warnings))
        ),
    )


def _says_hu(header: pydicom.Dataset, rescale: pydicom.Dataset) -> bool:
    """Return whether Rescale Type is HU; a missing one means HU in CT images (PS3.3, C.8.2.1.1.2).

    Secondary captures and private objects of modality CT have no such rule.
    """
    own = storage_class(header)
    implied = "HU" if not own or own in _CT_CLASSES else ""
    return str(rescale.get("RescaleType") or implied).strip().upper() == "HU"


def _rescale_of(dataset: pydicom.Dataset) -> _Rescale:
    """Return slope and intercept; one that is missing or empty beside the other is 1 or 0.

    Without an intercept the header does not say that values are HU.
    """
    stated = [has_value(dataset, keyword) for keyword in ("RescaleSlope", "RescaleIntercept")]
    if not any(stated):
        is_empty = "RescaleSlope" in dataset or "RescaleIntercept" in dataset
        return _Rescale(warnings=(BAD_RESCALE_WARNING,) if is_empty else ())
    slope = number(dataset, "RescaleSlope") if stated[0] else 1.0
    intercept = number(dataset, "RescaleIntercept") if stated[1] else 0.0
    if slope is None or intercept is None or slope == 0:
        return _Rescale(warnings=(BAD_RESCALE_WARNING,))
    return _Rescale(slope, intercept, stated[1], () if all(stated) else (HALF_RESCALE_WARNING,))


def _padding(file: DicomFile) -> tuple[float, float] | None:
    """Return the lowest and highest stored value of the padding, with the sign of the pixels."""
    for keywords in _PADDING[str(file.options["pixel_keyword"])]:
        found = [number(file.header, keyword) for keyword in keywords]
        if found[0] is not None:
            ends = [
                _as_stored(end, file, keyword)
                for end, keyword in zip(found, keywords, strict=True)
                if end is not None
            ]
            return min(ends), max(ends)
    return None


def _as_stored(value: float, file: DicomFile, keyword: str) -> float:
    """Return a padding value with the sign of the pixels; an unsigned short of signed pixels has 16 bits."""
    layout = file.layout
    if layout is None:
        return value
    is_short = layout.signed and file.header[keyword].VR == "US"
    return layout.extract_one(as_signed(value, 16 if is_short else layout.allocated, layout.signed))


def _first_table(
    dataset: pydicom.Dataset, keyword: str, little_endian: bool, inputs: tuple[float, float]
) -> ReadTable | None:
    items = dataset.get(keyword)
    if not items:
        return None
    try:
        found = lookup_table(items[0], little_endian, inputs)
        return replace(found, warnings=tuple(text for text in found.warnings if text == SHORT_LUT_WARNING))
    except (TypeError, ValueError, AttributeError, KeyError, IndexError):
        raise bad_metadata("the (0028,3000) Modality LUT cannot be read") from None
