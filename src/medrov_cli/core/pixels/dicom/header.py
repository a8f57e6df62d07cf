"""Values of a DICOM header that the program outputs: modality, spacing and identifiers.

The patient's identifier and name are output on request only.
"""

from __future__ import annotations

import math

import pydicom

from medrov_cli.core.pixels.dicom.file import modality_tag
from medrov_cli.core.records.frame import Identifiers
from medrov_cli.core.settings.choices import Modality

_MODALITIES = {
    Modality.CT: ("CT",),
    Modality.MRI: ("MR", "MA"),
    Modality.XRAY: ("CR", "DX", "RG", "RF", "XA", "MG", "IO", "PX", "DF"),
    Modality.ULTRASOUND: ("US", "IVUS", "EC"),
    Modality.HISTOPATHOLOGY: ("SM",),
    Modality.FUNDOSCOPY: ("OP",),
    Modality.ENDOSCOPY: ("ES",),
    Modality.MICROSCOPY: ("GM",),
    Modality.DERMOSCOPY: ("DMS",),
}
_MODALITY_OF_TAG = {tag: modality for modality, tags in _MODALITIES.items() for tag in tags}
"""(0008,0060) Modality (PS3.3, C.7.3.1.1.1) to the nine modalities; other codes have none."""

DETECTOR_SPACING_WARNING = (
    "The pixel spacing is that of the detector (Imager Pixel Spacing), not of the body: "
    "real sizes are smaller."
)
SCANNED_SPACING_WARNING = (
    "The pixel spacing is that of the film scanner (Nominal Scanned Pixel Spacing): "
    "sizes in mm are not calibrated."
)

_ULTRASOUND_2D = 1
_UNIT_CM = 3
"""Region Spatial Format 2D and Physical Units cm (PS3.3, C.8.5.5.1.1 and C.8.5.5.1.15)."""


def modality_of(header: pydicom.Dataset) -> Modality | None:
    """Return the modality of the header among the nine, or null."""
    return _MODALITY_OF_TAG.get(modality_tag(header))


def identifiers_of(header: pydicom.Dataset, *, patient: bool = False) -> Identifiers:
    """Return the UIDs of study, series and instance, null if empty; on request also the patient's."""
    keywords = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    if patient:
        keywords += ["PatientID", "PatientName"]
    return Identifiers(*(str(header.get(keyword) or "") or None for keyword in keywords))


def functional_group(header: pydicom.Dataset, keyword: str, frame: int) -> pydicom.Dataset:
    """Return the dataset with a property of one frame.

    In enhanced multi-frame objects that is the item of the frame's own functional group, else
    of the shared one (PS3.3, C.7.6.16); elsewhere it is the header itself.

    Parameters
    ----------
    keyword
        Keyword of the functional group's sequence, such as ``FrameVOILUTSequence``.
    frame
        0-based.
    """
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared = header.get("SharedFunctionalGroupsSequence") or ()
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        items = group.get(keyword)
        if items:
            item: pydicom.Dataset = items[0]
            return item
    return header


def numbers(dataset: pydicom.Dataset, keyword: str) -> list[float]:
    """Return the finite numbers of an element; an empty list if it is missing or malformed."""
    try:
        value = dataset.get(keyword)
        values = [] if value is None else value if hasattr(value, "__iter__") else [value]
        found = [float(number) for number in values]
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return []
    return found if all(map(math.isfinite, found)) else []


def pixel_spacing_of(header: pydicom.Dataset, frame: int) -> tuple[tuple[float, float] | None, str | None]:
    """Return (row spacing, column spacing) in mm, and a warning if it is not that of the body.

    The source is the first of: Pixel Spacing of the frame's functional group or of the header,
    the calibration of a purely two-dimensional ultrasound image, Imager Pixel Spacing,
    Nominal Scanned Pixel Spacing (PS3.3, 10.7.1.3).
    """
    for dataset in (functional_group(header, "PixelMeasuresSequence", frame), header):
        spacing = _spacing(dataset, "PixelSpacing")
        if spacing:
            return spacing, None
    spacing = _ultrasound_spacing(header)
    if spacing:
        return spacing, None
    spacing = _spacing(header, "ImagerPixelSpacing")
    if spacing:
        return spacing, DETECTOR_SPACING_WARNING
    spacing = _spacing(header, "NominalScannedPixelSpacing")
    return spacing, SCANNED_SPACING_WARNING if spacing else None


def _spacing(dataset: pydicom.Dataset, keyword: str) -> tuple[float, float] | None:
    values = numbers(dataset, keyword)
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None


def _ultrasound_spacing(header: pydicom.Dataset) -> tuple[float, float] | None:
    """Return the common spacing of all regions of the image; null if one is not a 2D image in cm."""
    regions = header.get("SequenceOfUltrasoundRegions") or ()
    spacings = {_region_spacing(region) for region in regions}
    return spacings.pop() if len(spacings) == 1 else None


def _region_spacing(region: pydicom.Dataset) -> tuple[float, float] | None:
    units = {region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")}
    deltas_cm = numbers(region, "PhysicalDeltaY") + numbers(region, "PhysicalDeltaX")
    if region.get("RegionSpatialFormat") != _ULTRASOUND_2D or units != {_UNIT_CM} or len(deltas_cm) != 2:
        return None
    rows_mm, columns_mm = (abs(delta) * 10 for delta in deltas_cm)
    return (rows_mm, columns_mm) if min(rows_mm, columns_mm) > 0 else None
