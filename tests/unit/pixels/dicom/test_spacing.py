"""Millimetres: calibrated regions of ultrasound, and the plane of a detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_files import item, read_one, write_dicom

PICTURE = np.zeros((64, 128), np.uint8)


def region(box: tuple[int, int, int, int], delta_cm: tuple[float, float], **attributes: Any) -> Any:
    """Return an ultrasound region; box and delta are x before y."""
    values = {
        "RegionSpatialFormat": 1, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3,
        "RegionLocationMinX0": box[0], "RegionLocationMinY0": box[1], "RegionLocationMaxX1": box[2],
        "RegionLocationMaxY1": box[3], "PhysicalDeltaX": delta_cm[0], "PhysicalDeltaY": delta_cm[1],
    }  # fmt: skip
    return item(**{**values, **attributes})


LEFT = region((0, 0, 63, 63), (0.05, 0.04))
RIGHT = region((64, 0, 127, 63), (0.02, -0.01))
CURVE = region((64, 0, 127, 63), (0.01, 5.0), PhysicalUnitsXDirection=4, PhysicalUnitsYDirection=7)
MOTION = region((64, 0, 127, 63), (0.01, 0.02), PhysicalUnitsXDirection=4)


@pytest.mark.parametrize(("other", "right"), [(RIGHT, (0.1, 0.2)), (CURVE, None), (MOTION, None)])
def test_a_box_has_the_spacing_of_its_region(
    tmp_path: Path, other: Any, right: tuple[float, float] | None
) -> None:
    path = write_dicom(tmp_path / "a.dcm", PICTURE, SequenceOfUltrasoundRegions=[LEFT, other])
    frame = read_one(path)
    assert frame.pixel_spacing_mm is None
    assert frame.spacing_in((0, 0, 64, 64)) == (0.4, 0.5)
    assert frame.spacing_in((64, 10, 128, 20)) == right
    assert frame.spacing_in((60, 10, 70, 20)) is None
    assert any("regions" in warning for warning in frame.warnings)


def test_a_box_outside_of_the_only_region_has_no_size(tmp_path: Path) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", PICTURE, SequenceOfUltrasoundRegions=[LEFT]))
    assert frame.pixel_spacing_mm == (0.4, 0.5)
    assert frame.spacing_in((10, 10, 20, 20)) == (0.4, 0.5)
    assert frame.spacing_in((70, 10, 80, 20)) is None


def test_overlapping_regions_that_differ_measure_nothing(tmp_path: Path) -> None:
    zoom = region((10, 10, 40, 40), (0.01, 0.01))
    frame = read_one(write_dicom(tmp_path / "a.dcm", PICTURE, SequenceOfUltrasoundRegions=[LEFT, zoom]))
    assert frame.spacing_in((20, 20, 30, 30)) is None
    assert frame.spacing_in((42, 42, 50, 50)) == (0.4, 0.5)


IMAGER = {"ImagerPixelSpacing": [0.3, 0.3]}


@pytest.mark.parametrize(
    ("attributes", "spacing", "word"),
    [
        ({**IMAGER, "EstimatedRadiographicMagnificationFactor": 1.5}, 0.2, "estimate"),
        ({**IMAGER, "DistanceSourceToDetector": 1500, "DistanceSourceToPatient": 1000}, 0.2, "estimate"),
        ({**IMAGER, "EstimatedRadiographicMagnificationFactor": 0}, 0.3, "detector"),
        ({**IMAGER, "EstimatedRadiographicMagnificationFactor": 0.8}, 0.3, "detector"),
        ({**IMAGER, "PixelSpacing": [0.3, 0.3]}, 0.3, "detector"),
        (
            {**IMAGER, "PixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.5},
            0.2,
            "estimate",
        ),
        ({**IMAGER, "PixelSpacing": [0.3, 0.3], "PixelSpacingCalibrationType": "GEOMETRY"}, 0.3, ""),
        (
            {
                **IMAGER,
                "PixelSpacing": [0.21, 0.21],
                "PixelSpacingCalibrationType": "FIDUCIAL",
                "EstimatedRadiographicMagnificationFactor": 1.5,
            },
            0.21,
            "",
        ),
        ({**IMAGER, "PixelSpacing": [0.25, 0.25]}, 0.25, ""),
        ({"NominalScannedPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]}, 0.2, "scanner"),
        (
            {
                "NominalScannedPixelSpacing": [0.2, 0.2],
                "PixelSpacing": [0.2, 0.2],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            0.2,
            "",
        ),
    ],
)
def test_detector_spacing(tmp_path: Path, attributes: dict[str, Any], spacing: float, word: str) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", PICTURE, **attributes))
    assert frame.pixel_spacing_mm == pytest.approx((spacing, spacing))
    assert (word in " ".join(frame.warnings), bool(frame.warnings)) == (True, bool(word))


def test_a_curve_has_no_sizes_whatever_the_header_states(tmp_path: Path) -> None:
    curve = region((0, 0, 127, 63), (0.01, 5.0), RegionSpatialFormat=3, PhysicalUnitsXDirection=4)
    path = write_dicom(
        tmp_path / "a.dcm", PICTURE, SequenceOfUltrasoundRegions=[curve], PixelSpacing=[0.3, 0.3]
    )
    assert read_one(path).pixel_spacing_mm is None
