"""Parameters of the grey values of a frame, from a DICOM header."""

from __future__ import annotations

import pydicom

from medrov_cli.core.pixels.dicom.file import DicomFile, bad_metadata, modality_tag
from medrov_cli.core.pixels.dicom.grey import GreyScale
from medrov_cli.core.pixels.dicom.header import functional_group, numbers
from medrov_cli.core.pixels.dicom.luts import lookup_table, views_of
from medrov_cli.core.pixels.greyscale import IDENTITY, LookupTable

BAD_RESCALE_WARNING = "The rescale slope or intercept is invalid; stored values were used."
BAD_VOI_WARNING = "A window of the file is invalid and was ignored."


def grey_scale(file: DicomFile, frame: int) -> GreyScale:
    """Return the conversion of the values of a frame to grey, from its header.

    Raises
    ------
    MedrovError
        ``bad_metadata`` if a lookup table that must be applied cannot be read.
    """
    header = file.header
    little_endian = bool(header.original_encoding[1])
    signed = file.options.get("pixel_representation") == 1
    rescale = functional_group(header, "PixelValueTransformationSequence", frame)
    table = _first_table(header, "ModalityLUTSequence", little_endian, signed)
    slope, intercept, rescaled, warnings = _slope_intercept(rescale)
    low = 0.0 if table else intercept - (abs(slope) * 2**31 if signed else 0.0)
    views, bad = views_of(functional_group(header, "FrameVOILUTSequence", frame), little_endian, low < 0)
    return GreyScale(
        modality_table=table,
        slope=slope,
        intercept=intercept,
        views=views,
        is_hu=modality_tag(header) == "CT" and table is None and rescaled and _says_hu(rescale),
        is_float=file.is_float,
        stored_bits=None if signed or file.is_float else int(file.options.get("bits_stored") or 0),
        padding=_padding(header, signed),
        warnings=warnings + ((BAD_VOI_WARNING,) if bad else ()),
    )


def _says_hu(rescale: pydicom.Dataset) -> bool:
    """Return whether Rescale Type is HU; a missing one means HU in CT (PS3.3, C.8.2.1.1.2)."""
    return str(rescale.get("RescaleType") or "HU").strip().upper() == "HU"


def _slope_intercept(dataset: pydicom.Dataset) -> tuple[float, float, bool, tuple[str, ...]]:
    if "RescaleSlope" not in dataset and "RescaleIntercept" not in dataset:
        return *IDENTITY, False, ()
    slope, intercept = numbers(dataset, "RescaleSlope"), numbers(dataset, "RescaleIntercept")
    if len(slope) != 1 or len(intercept) != 1 or slope[0] == 0:
        return *IDENTITY, False, (BAD_RESCALE_WARNING,)
    return slope[0], intercept[0], True, ()


def _padding(header: pydicom.Dataset, signed: bool) -> tuple[float, float] | None:
    ends = numbers(header, "PixelPaddingValue")[:1]
    if not ends:
        return None
    ends += numbers(header, "PixelPaddingRangeLimit")[:1]
    if signed:  # some files store it as unsigned: its value representation depends on that of the pixels
        ends = [end - 65536 if end > 32767 else end for end in ends]
    return min(ends), max(ends)


def _first_table(
    dataset: pydicom.Dataset, keyword: str, little_endian: bool, signed: bool
) -> LookupTable | None:
    items = dataset.get(keyword)
    if not items:
        return None
    try:
        return lookup_table(items[0], little_endian, signed)
    except (TypeError, ValueError, AttributeError, KeyError):
        raise bad_metadata("the (0028,3000) Modality LUT cannot be read") from None
