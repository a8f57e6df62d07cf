"""Pixel spacing of DICOM images: in the body, at the detector, and of calibrated ultrasound regions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pydicom

from medrov_cli.core.pixels.dicom.elements import has_value, number, numbers
from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.records.frame import SpacingRegion

DETECTOR_SPACING_WARNING = (
    "The pixel spacing is that of the detector (Imager Pixel Spacing), not of the body: "
    "real sizes are smaller."
)
MAGNIFIED_SPACING_WARNING = (
    "The pixel spacing is that of the detector divided by the estimated radiographic magnification: "
    "sizes in mm are estimates."
)
SCANNED_SPACING_WARNING = (
    "The pixel spacing is that of the film scanner (Nominal Scanned Pixel Spacing): "
    "sizes in mm are not calibrated."
)
BAD_SPACING_WARNING = "The pixel spacing of the file is invalid and was ignored."
REGIONS_WARNING = (
    "The ultrasound image has regions with different calibrations: sizes in mm are those of the region that "
    "contains a box."
)

_ULTRASOUND_2D = 1
_CURVES = frozenset({2, 3, 4})
_UNIT_CM = 3
"""Region Spatial Format 2D, those of M-mode, spectra and waveforms, and Physical Units cm (PS3.3, C.8.5.5.1.1
and C.8.5.5.1.15)."""

_EQUAL = 1e-4
"""Relative difference of spacings that are the same number, rounded differently."""

Spacing = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FrameSpacing:
    """Pixel spacing of a frame.

    Attributes
    ----------
    spacing_mm
        (row spacing, column spacing); null if unknown, or different between regions.
    regions
        Calibrated regions of ultrasound; empty: the spacing holds for the whole frame.
    warnings
        Warnings for the user.
    """

    spacing_mm: Spacing | None = None
    regions: tuple[SpacingRegion, ...] = ()
    warnings: tuple[str, ...] = ()


def frame_spacing(header: pydicom.Dataset, frame: int) -> FrameSpacing:
    """Return the pixel spacing of a frame, 0-based.

    The source is the first of: the calibrated regions of ultrasound (PS3.3, C.8.5.5), Pixel Spacing of the
    frame's functional group or of the header, Imager Pixel Spacing, Nominal Scanned Pixel Spacing (PS3.3,
    10.7.1.3). Imager Pixel Spacing, and a Pixel Spacing that is equal to it without a calibration type, are
    those of the detector; they are divided by the magnification if the header has one. Likewise, a Pixel
    Spacing that is equal to Nominal Scanned Pixel Spacing is that of the film scanner.
    """
    items = list(header.get("SequenceOfUltrasoundRegions") or ())
    regions = tuple(_region(item) for item in items)
    if any(region.spacing_mm for region in regions):
        found = {region.spacing_mm for region in regions}
        return FrameSpacing(found.pop()) if _covers(header, regions) else _of_regions(regions)
    if items and all(number(item, "RegionSpatialFormat") in _CURVES for item in items):
        return FrameSpacing()  # a curve has no sizes
    detector = _detector_spacing(header, frame)
    scanned = _spacing(header, "NominalScannedPixelSpacing")
    for dataset in (functional_group(header, "PixelMeasuresSequence", frame), header):
        spacing = _spacing(dataset, "PixelSpacing")
        if spacing:
            return _of_pixels(header, spacing, detector, scanned)
    keywords = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
    bad = (BAD_SPACING_WARNING,) if has_value(header, "PixelSpacing") else ()
    if detector:
        found_spacing = _from_detector(header, detector)
        return FrameSpacing(found_spacing.spacing_mm, (), (*bad, *found_spacing.warnings))
    if scanned:
        return FrameSpacing(scanned, (), (*bad, SCANNED_SPACING_WARNING))
    is_bad = any(has_value(header, keyword) for keyword in keywords)
    return FrameSpacing(warnings=(BAD_SPACING_WARNING,) if is_bad else ())


def _of_pixels(
    header: pydicom.Dataset, spacing: Spacing, detector: Spacing | None, scanned: Spacing | None
) -> FrameSpacing:
    """Return Pixel Spacing, or what it really is: that of the detector or of the film scanner."""
    if not _is_calibrated(header):
        if detector and _is_equal(spacing, detector):
            return _from_detector(header, spacing)
        if scanned and _is_equal(spacing, scanned):
            return FrameSpacing(spacing, (), (SCANNED_SPACING_WARNING,))
    return FrameSpacing(spacing)


def _detector_spacing(header: pydicom.Dataset, frame: int) -> Spacing | None:
    group = functional_group(header, "FramePixelDataPropertiesSequence", frame)
    return _spacing(group, "ImagerPixelSpacing") or _spacing(header, "ImagerPixelSpacing")


def _from_detector(header: pydicom.Dataset, spacing: Spacing) -> FrameSpacing:
    factor = _magnification(header)
    if factor is None:
        return FrameSpacing(spacing, (), (DETECTOR_SPACING_WARNING,))
    return FrameSpacing((spacing[0] / factor, spacing[1] / factor), (), (MAGNIFIED_SPACING_WARNING,))


def _magnification(header: pydicom.Dataset) -> float | None:
    """Return (0018,1114), or the ratio of the distances that it is defined by; null below 1."""
    factor = number(header, "EstimatedRadiographicMagnificationFactor")
    if factor is None:
        detector = number(header, "DistanceSourceToDetector")
        patient = number(header, "DistanceSourceToPatient")
        factor = detector / patient if detector and patient else None
    return factor if factor is not None and factor >= 1 else None


def _is_calibrated(header: pydicom.Dataset) -> bool:
    return str(header.get("PixelSpacingCalibrationType") or "").strip().upper() in ("GEOMETRY", "FIDUCIAL")


def _is_equal(first: Spacing, second: Spacing) -> bool:
    return all(math.isclose(a, b, rel_tol=_EQUAL) for a, b in zip(first, second, strict=True))


def _spacing(dataset: pydicom.Dataset, keyword: str) -> Spacing | None:
    values = numbers(dataset, keyword)
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None


def _of_regions(regions: tuple[SpacingRegion, ...]) -> FrameSpacing:
    found = {region.spacing_mm for region in regions}
    if len(found) == 1:
        return FrameSpacing(found.pop(), regions)
    return FrameSpacing(None, regions, (REGIONS_WARNING,))


def _covers(header: pydicom.Dataset, regions: tuple[SpacingRegion, ...]) -> bool:
    """Return whether one calibration holds for the whole image."""
    rows, columns = number(header, "Rows"), number(header, "Columns")
    is_whole = any(
        box[0] <= 0 and box[1] <= 0 and box[2] >= (columns or 0) and box[3] >= (rows or 0)
        for box in (region.box_xyxy for region in regions)
    )
    has_boxes = all(box[2] > box[0] and box[3] > box[1] for box in (region.box_xyxy for region in regions))
    return len({region.spacing_mm for region in regions}) == 1 and (is_whole or not has_boxes)


def _region(item: pydicom.Dataset) -> SpacingRegion:
    """Return an item of the Sequence of Ultrasound Regions; Max is the last pixel of the region."""
    sides = [number(item, f"RegionLocation{side}") for side in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    left, top, right, bottom = (-1.0 if side is None else side for side in sides)
    box = (left, top, right + 1, bottom + 1) if None not in sides else (0.0, 0.0, 0.0, 0.0)
    return SpacingRegion(box, _region_spacing(item))


def _region_spacing(region: pydicom.Dataset) -> Spacing | None:
    """Return the spacing of a region in mm; null if it is not a 2D image in cm."""
    units = {number(region, "PhysicalUnitsXDirection"), number(region, "PhysicalUnitsYDirection")}
    deltas_cm = numbers(region, "PhysicalDeltaY") + numbers(region, "PhysicalDeltaX")
    if number(region, "RegionSpatialFormat") != _ULTRASOUND_2D or units != {_UNIT_CM} or len(deltas_cm) != 2:
        return None
    rows_mm, columns_mm = (abs(delta) * 10 for delta in deltas_cm)
    return (rows_mm, columns_mm) if min(rows_mm, columns_mm) > 0 else None
