"""Images of unusual geometry in segmentations: no place, places of several kinds, and failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    NuclearMedicineImageStorage,
    OphthalmicPhotography8BitImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayAngiographicImageStorage,
)

from dicom_objects import Grid, write_series
from dicom_results import detection, record_of, write_results
from image_files import item
from medrov_cli.core.writers.dicom.segment_sources import MIXED_PLANES
from medrov_cli.core.writers.protocol import UNEXPECTED

NODULE = detection("lung nodule", 0.9, 1.25, 2.5, 6.13, 5.07)


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    """Three CT slices in the order of their position."""
    write_series(tmp_path / "in", 3, SliceThickness=3)
    return sorted((tmp_path / "in").iterdir(), reverse=True)


def change(path: Path, **values: Any) -> None:
    """Set elements of a file; null removes one."""
    header = pydicom.dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(header, keyword)
        else:
            setattr(header, keyword, value)
    header.save_as(path)


def segment(series: list[Path], tmp_path: Path) -> tuple[list[Dataset], list[tuple[str, str]]]:
    """Return the segmentations of a finding in all slices."""
    finding = {
        "class": "lung nodule", "score": 0.9, "members": [{"slice": n, "detection": 0} for n in range(3)],
    }  # fmt: skip
    volume = {
        "schema": "medrov.findings/1", "path": str(series[0]), "study_uid": "1.2", "findings": [finding],
        "slices": [{"path": str(path), "frame": 0} for path in series],
    }  # fmt: skip
    return write_results(tmp_path, [*(record_of(path, NODULE) for path in series), volume], "seg")


@pytest.mark.parametrize(
    "values",
    [
        {"FrameOfReferenceUID": ""},
        {"FrameOfReferenceUID": None, "Modality": None},
        {"PixelSpacing": None},
        {"ImageOrientationPatient": None},
        {"ImagePositionPatient": ""},
        *(
            {"SOPClassUID": uid, "ImagePositionPatient": None}
            for uid in (
                XRayAngiographicImageStorage,
                NuclearMedicineImageStorage,
                OphthalmicPhotography8BitImageStorage,
            )
        ),
        {"SOPClassUID": UltrasoundMultiFrameImageStorage, "NumberOfFrames": 1, "ImagePositionPatient": None},
    ],
)
def test_image_without_a_place_has_a_segmentation_without_one(
    values: dict[str, Any], series: list[Path], tmp_path: Path
) -> None:
    change(series[0], **values)
    (found,), left_out = write_results(tmp_path, [record_of(series[0], NODULE)], "seg")
    assert left_out == []
    assert found.NumberOfFrames == 1
    assert "FrameOfReferenceUID" not in found
    assert "PixelMeasuresSequence" not in found.SharedFunctionalGroupsSequence[0]
    sources = found.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    for own in (*sources, *found.SourceImageSequence):
        assert own.ReferencedSOPClassUID == pydicom.dcmread(series[0]).SOPClassUID


def test_equal_orientations_are_one_segmentation(series: list[Path], tmp_path: Path) -> None:
    change(series[1], ImageOrientationPatient=[1, 1e-9, 0, -1e-9, 1, 0])
    (found,), left_out = segment(series, tmp_path)
    assert left_out == []
    assert (found.NumberOfFrames, len(found.SegmentSequence)) == (3, 1)
    measures = found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices) == ([2, 0.5], 3, 3)


@pytest.mark.parametrize(
    "values",
    [{"FrameOfReferenceUID": "1.9.2"}, {"ImageOrientationPatient": [0.9998, 0.02, 0, -0.02, 0.9998, 0]}],
)
def test_finding_in_several_places_has_a_segment_in_each(
    values: dict[str, Any], series: list[Path], tmp_path: Path
) -> None:
    change(series[2], **values)
    found, left_out = segment(series, tmp_path)
    assert left_out == []
    assert sorted(one.NumberOfFrames for one in found) == [1, 2]
    assert {len(one.SegmentSequence) for one in found} == {1}
    assert len({one.SegmentSequence[0].TrackingUID for one in found}) == 1


def test_images_beside_each_other_are_all_kept(series: list[Path], tmp_path: Path) -> None:
    """highdicom drops all but one of the planes at one position along the normal."""
    place = pydicom.dcmread(series[0]).ImagePositionPatient
    change(series[1], ImagePositionPatient=[place[0] + 100, place[1], place[2]])
    found, _ = write_results(tmp_path, [record_of(path, NODULE) for path in series], "seg")
    assert sorted(one.NumberOfFrames for one in found) == [1, 2]


def test_single_position_has_no_spacing_between_slices(series: list[Path], tmp_path: Path) -> None:
    (found,), _ = write_results(tmp_path, [record_of(series[0], NODULE)], "seg")
    measures = found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SliceThickness == 3
    assert "SpacingBetweenSlices" not in measures


def enhance(path: Path, axes: list[list[float]]) -> None:
    """Make an enhanced CT image of frames with these orientations, 2 mm apart, in per-frame groups."""
    header = pydicom.dcmread(path)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(header, keyword)
    header.SOPClassUID, header.NumberOfFrames = EnhancedCTImageStorage, len(axes)
    header.PixelData *= len(axes)
    header.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 2 * frame])],
            PlaneOrientationSequence=[item(ImageOrientationPatient=own)],
            PixelMeasuresSequence=[item(PixelSpacing=[1, 1], SliceThickness=2)],
        )
        for frame, own in enumerate(axes)
    ]
    header.save_as(path)


AXIAL, TURNED = [1, 0, 0, 0, 1, 0], [0, 1, 0, -1, 0, 0]


@pytest.mark.parametrize("frames", [1, 2])
def test_enhanced_image_keeps_its_geometry(frames: int, series: list[Path], tmp_path: Path) -> None:
    enhance(series[0], [AXIAL] * frames)
    (found,), left_out = write_results(tmp_path, [record_of(series[0], NODULE, frame=frames - 1)], "seg")
    assert left_out == []
    measures = found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.PixelSpacing, measures.SliceThickness) == ([1, 1], 2)
    (frame,) = found.PerFrameFunctionalGroupsSequence
    assert frame.PlanePositionSequence[0].ImagePositionPatient == [0, 0, 2 * (frames - 1)]
    (source,) = frame.DerivationImageSequence[0].SourceImageSequence
    assert source.ReferencedSOPClassUID == EnhancedCTImageStorage
    assert source.get("ReferencedFrameNumber") == (2 if frames == 2 else None)


def test_frames_of_several_orientations_are_left_out(series: list[Path], tmp_path: Path) -> None:
    enhance(series[0], [AXIAL, TURNED])
    found, left_out = write_results(tmp_path, [record_of(series[0], NODULE)], "seg")
    assert found == []
    assert left_out == [(str(series[0]), MIXED_PLANES)]


@pytest.mark.parametrize("name", ["sr", "gsps", "seg"])
def test_unexpected_failure_leaves_out_its_images_alone(
    name: str, series: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medrov_cli.core.writers.dicom import object_files

    write_series(tmp_path / "other", 1, Grid(), series="1.2.4", StudyInstanceUID="1.2.40", SliceThickness=3)
    (other,) = (tmp_path / "other").iterdir()
    write, calls = object_files.write_dataset_file, []

    def fail_once(path: Path, dataset: Dataset) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise ValueError("Doe^Jane")
        write(path, dataset)

    monkeypatch.setattr(object_files, "write_dataset_file", fail_once)
    records = [record_of(series[0], NODULE), record_of(other, NODULE)]
    (found,), left_out = write_results(tmp_path, records, name)
    assert found.StudyInstanceUID == "1.2.40"
    ((path, reason),) = left_out
    assert path == str(series[0])
    assert reason.startswith(f"{UNEXPECTED} ValueError at core/writers/dicom/object_files.py:")
