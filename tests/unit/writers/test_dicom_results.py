"""DICOM results: reports and presentation states read back by highdicom and pydicom."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.uid import ComputedRadiographyImageStorage, EnhancedCTImageStorage

from dicom_objects import write_series
from dicom_results import (
    MODEL,
    detection,
    record_of,
    standard_errors,
    validation_errors,
    write_results,
)
from image_files import write_dicom
from medrov_cli.core.base.documents import read_toml_asset
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.text.lexicon import BROADER_NAMES, lexicon
from medrov_cli.core.writers.dicom.box_coordinates import box_points
from medrov_cli.core.writers.dicom.class_codes import CODES, code_of_class
from medrov_cli.core.writers.dicom.plain_items import image_item, region_item
from medrov_cli.core.writers.dicom.report_groups import IMAGE_REGION, SOURCE_IMAGE
from medrov_cli.core.writers.dicom.segment_sources import MULTI_FRAME, SAME_PLANES
from medrov_cli.core.writers.dicom.source_studies import read_studies
from medrov_cli.core.writers.protocol import RunFacts

NODULE = detection("lung nodule", 0.91234, 1.25, 2.5, 6.13, 5.07, size_mm=[2.44, 5.14])
KIDNEY = detection("left kidney", 0.5, 0, 0, 9, 7)
FREE = detection("blue \\ widget\n", 0.25, 0.01, 0.02, 8.99, 6.98)

PRINTABLE = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})

SIDED_TYPES = {
    *("left ventricle", "right ventricle", "left atrium", "right atrium", "left atrial appendage"),
    "right lung middle lobe",
}
"""Classes whose type has the side in itself."""

REVIEWED = {
    ("SCT", "181674001"),
    ("SCT", "244849004"),
    ("SCT", "47351003"),
    ("SCT", "68455001"),
    ("SCT", "74281007"),
    ("SCT", "75297007"),
    ("SCT", "78333006"),
    ("RADLEX", "RID28493"),
    ("RADLEX", "RID43255"),
    ("RADLEX", "RID5350"),
}
"""Codes outside PS3.16, compared by hand with SNOMED CT and RadLex."""


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    """Three CT slices of 7 x 9 pixels, in the order of their position."""
    write_series(tmp_path / "in", 3, PatientName="Doe^Jane", PatientID="4711", SliceThickness=3)
    return sorted((tmp_path / "in").iterdir(), reverse=True)


def report_groups(report: Dataset) -> list[Any]:
    content = highdicom.sr.Comprehensive3DSR.from_dataset(report).content
    return [*content.get_planar_roi_measurement_groups(), *content.get_volumetric_roi_measurement_groups()]


def box_of(points: Any) -> list[float]:
    corners = np.asarray(points).reshape(-1, 2)
    return [*corners.min(0).tolist(), *corners.max(0).tolist()]


def number(group: Any, code: Any) -> float:
    (found,) = group.get_measurements(name=code)
    return float(found.value)


def test_report_contains_each_detection_with_its_numbers_and_codes(
    series: list[Path], tmp_path: Path
) -> None:
    records = [record_of(series[0], NODULE, KIDNEY), record_of(series[1]), record_of(series[2], FREE)]
    (report,), left_out = write_results(tmp_path, records, "sr")
    assert left_out == []
    assert report.StudyInstanceUID == "1.2"
    assert (report.PatientName, report.PatientID) == ("Doe^Jane", "4711")
    groups = report_groups(report)
    assert len(groups) == 3
    for group, row in zip(groups, (NODULE, KIDNEY, FREE), strict=True):
        assert box_of(group.roi.GraphicData) == pytest.approx(row["box_xyxy"], abs=0.001)
        assert number(group, codes.DCM.CertaintyOfFinding) == pytest.approx(100 * row["score"])
    nodule, kidney, free = groups
    assert nodule.finding_type == codes.SCT.Nodule
    assert [site.value for site in nodule.finding_sites] == [codes.SCT.Lung]
    assert kidney.finding_sites[0].laterality == codes.SCT.Left
    assert free.finding_type.scheme_designator == "99MEDROV"
    assert free.finding_type.meaning == "blue widget"
    assert number(nodule, codes.SCT.Width) == 2.44
    assert number(nodule, codes.DCM.Height) == 5.14
    assert free.get_measurements(name=codes.SCT.Width) == []
    images = [group.roi.ContentSequence[0].ReferencedSOPSequence[0] for group in groups]
    assert [image.ReferencedSOPInstanceUID for image in images] == ["1.2.3.1", "1.2.3.1", "1.2.3.3"]
    assert all("ReferencedFrameNumber" not in image for image in images)
    texts = [item.TextValue for item in pydicom_items(report) if "TextValue" in item]
    assert "lung nodule 1" in texts
    assert f"weights sha256={MODEL['sha256']}" in texts
    assert __version__ in texts
    assert any("Research use only" in text for text in texts)
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert len(evidence.ReferencedSOPSequence) == 3


def pydicom_items(dataset: Dataset) -> list[Dataset]:
    """Return all items of all sequences."""
    found = []
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                found += [item, *pydicom_items(item)]
    return found


def test_report_of_a_linked_finding_is_one_group_of_its_detections(
    series: list[Path], tmp_path: Path
) -> None:
    alone = detection("lung nodule", 0.3, 0, 0, 2, 2)
    records = [record_of(path, NODULE, *([alone] if path == series[1] else [])) for path in series]
    finding = {
        "class": "lung nodule", "score": 0.95, "members": [{"slice": n, "detection": 0} for n in range(3)],
        "extent_mm": [2.44, 5.14, 9.0], "diameter_mm": 5.14, "volume_mm3": 112.87,
    }  # fmt: skip
    places = [{"path": str(path), "frame": 0} for path in series]
    volume = {"schema": "medrov.findings/1", "path": str(series[0]), "study_uid": "1.2", "slices": places}
    (report,), _ = write_results(tmp_path, [*records, volume | {"findings": [finding]}], "sr")
    planar, linked = report_groups(report)
    assert box_of(planar.roi.GraphicData) == [0, 0, 2, 2]
    assert [box_of(region.GraphicData) for region in linked.roi] == [
        pytest.approx(NODULE["box_xyxy"], abs=0.001)
    ] * 3
    assert number(linked, codes.DCM.CertaintyOfFinding) == 95
    assert number(linked, codes.SCT.Volume) == 112.87
    assert number(linked, codes.SCT.Length) == 9
    assert number(linked, codes.SCT.LongAxis) == 5.14


def test_finding_of_other_planes_has_its_box_on_each_of_its_slices(
    series: list[Path], tmp_path: Path
) -> None:
    finding = {
        "class": "lung nodule", "score": 0.8, "members": [], "first_slice": 1, "last_slice": 2,
        "box_voxels": [1.5, 2, 0.8, 6, 7.25, 3], "extent_mm": [2.0, 3.0, 4.0], "diameter_mm": 3.0,
        "volume_mm3": 24.0,
    }  # fmt: skip
    places = [{"path": str(path), "frame": 0} for path in series]
    volume = {"schema": "medrov.findings/1", "path": str(series[0]), "study_uid": "1.2", "slices": places}
    given = [*(record_of(path) for path in series), volume | {"findings": [finding]}]
    (report,), _ = write_results(tmp_path, given, "sr")
    (linked,) = report_groups(report)
    assert [box_of(region.GraphicData) for region in linked.roi] == [[1.5, 2, 6, 7.25]] * 2
    assert number(linked, codes.SCT.Length) == 4
    (segmentation,), _ = write_results(tmp_path, given, "seg")
    assert segmentation.NumberOfFrames == 2


def test_presentation_state_contains_boxes_labels_and_windows(series: list[Path], tmp_path: Path) -> None:
    windows = [{"source": "tag", "name": "LUNG", "center": 40.0 + n, "width": 400.0} for n in (0, 0, 1)]
    records = [
        record_of(series[0], NODULE, KIDNEY, window=windows[0]),
        record_of(series[1], window=windows[1]),
        record_of(series[2], FREE, window=windows[2]),
    ]
    (state,), _ = write_results(tmp_path, records, "gsps")
    assert state.SOPClassUID.name == "Grayscale Softcopy Presentation State Storage"
    rows = [NODULE, KIDNEY, FREE]
    found = [item for group in state.GraphicAnnotationSequence for item in group.GraphicObjectSequence]
    for item, row in zip(found, rows, strict=True):
        assert item.GraphicAnnotationUnits == "PIXEL"
        assert item.GraphicData[:2] == item.GraphicData[-2:]
        assert box_of(item.GraphicData) == pytest.approx(row["box_xyxy"], abs=0.001)
    labels = [group.TextObjectSequence[0].UnformattedTextValue for group in state.GraphicAnnotationSequence]
    assert labels == ["lung nodule 0.91", "left kidney 0.50", "blue widget 0.25"]
    layers = [layer.GraphicLayerDescription for layer in state.GraphicLayerSequence]
    assert layers[:2] == ["lung nodule", "left kidney"]
    first, second = state.SoftcopyVOILUTSequence
    assert (first.WindowCenter, first.WindowWidth, first.WindowCenterWidthExplanation) == (40, 400, "LUNG")
    assert [item.ReferencedSOPInstanceUID for item in first.ReferencedImageSequence] == ["1.2.3.1", "1.2.3.2"]
    assert second.WindowCenter == 41
    area = state.DisplayedAreaSelectionSequence[0]
    assert (area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner) == ([1, 1], [9, 7])
    assert area.PresentationPixelSpacing == [2.0, 0.5]
    (report,), _ = write_results(tmp_path, records, "sr")
    tracked = {str(group.tracking_uid) for group in report_groups(report)}
    assert {item.TrackingUID for item in found} == tracked


def test_segments_are_the_pixels_inside_the_boxes(series: list[Path], tmp_path: Path) -> None:
    """A box from 1.25 to 6.13 contains the centres of the columns 1 to 5; boxes that overlap are apart."""
    records = [record_of(series[0], NODULE, KIDNEY), record_of(series[1]), record_of(series[2], NODULE)]
    objects, left_out = write_results(tmp_path, records, "seg")
    assert left_out == []
    assert [len(own.SegmentSequence) for own in objects] == [2, 1]  # the kidney covers a nodule
    first = highdicom.seg.Segmentation.from_dataset(objects[0])
    assert [one.SegmentLabel for one in first.SegmentSequence] == ["lung nodule", "lung nodule"]
    assert [one.TrackingID for one in first.SegmentSequence] == ["lung nodule 1", "lung nodule 2"]
    assert first.get_segment_description(1).segmented_property_type == codes.SCT.Nodule
    expected = np.zeros((7, 9), bool)
    expected[2:5, 1:6] = True
    sources = ["1.2.3.1", "1.2.3.3"]
    pixels = first.get_pixels_by_source_instance(sources)
    for image in range(2):
        for number in range(2):
            inside = pixels[image, ..., number].astype(bool)
            assert (inside == (expected & (image == number))).all()
    (report,), _ = write_results(tmp_path, records, "sr")
    tracked = {item.UID for item in pydicom_items(report) if "UID" in item}
    assert {one.TrackingUID for own in objects for one in own.SegmentSequence} <= tracked


def test_images_at_one_position_have_segmentations_of_their_own(series: list[Path], tmp_path: Path) -> None:
    """Two time points: highdicom refuses equal positions in one object."""
    header = pydicom.dcmread(series[1])
    header.ImagePositionPatient = pydicom.dcmread(series[0]).ImagePositionPatient
    header.save_as(series[1])
    objects, left_out = write_results(tmp_path, [record_of(path, NODULE) for path in series], "seg")
    assert left_out == []
    assert [len(own.SegmentSequence) for own in objects] == [2, 1]


def test_images_without_a_place_have_segmentations_of_their_own(series: list[Path], tmp_path: Path) -> None:
    for path in series:
        header = pydicom.dcmread(path)
        header.Modality, header.SOPClassUID = "CR", ComputedRadiographyImageStorage
        for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient"):
            delattr(header, keyword)
        header.save_as(path)
    records = [record_of(path, NODULE, modality="CR") for path in series]
    objects, left_out = write_results(tmp_path, records, "seg")
    assert left_out == []
    assert [len(own.SegmentSequence) for own in objects] == [1, 1, 1]


@pytest.mark.parametrize(("step", "reasons"), [(0, [SAME_PLANES]), (2, [])])
def test_frames_at_one_position_have_no_segmentation(
    series: list[Path], tmp_path: Path, step: int, reasons: list[str]
) -> None:
    header = pydicom.dcmread(series[0])
    header.SOPClassUID = EnhancedCTImageStorage
    header.NumberOfFrames = 2
    header.PixelData *= 2
    groups = []
    for frame in range(2):
        plane, group = Dataset(), Dataset()
        plane.ImagePositionPatient = [0, 0, step * frame]
        group.PlanePositionSequence = [plane]
        groups.append(group)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 2
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    header.SharedFunctionalGroupsSequence, header.PerFrameFunctionalGroupsSequence = [shared], groups
    header.save_as(series[0])
    objects, left_out = write_results(tmp_path, [record_of(series[0], NODULE, frame=1)], "seg")
    assert [reason for _, reason in left_out] == reasons
    assert len(objects) == 1 - len(reasons)


def test_images_without_planes_have_no_segmentation(tmp_path: Path) -> None:
    color = write_color(tmp_path / "us.dcm", frames=2)
    objects, left_out = write_results(tmp_path, [record_of(color, NODULE, frame=1)], "seg")
    assert objects == []
    assert left_out == [(color, MULTI_FRAME)]


def test_repeated_items_are_those_of_highdicom(series: list[Path], tmp_path: Path) -> None:
    """Items that are made without highdicom, for speed, have the elements of its classes."""
    record = record_of(series[0], NODULE)
    (study,) = read_studies(lambda: iter([record]), RunFacts((), {}))
    (instance,) = study.instances
    source = highdicom.sr.SourceImageForRegion(instance.header.SOPClassUID, instance.uid)
    region = highdicom.sr.ImageRegion("POLYLINE", box_points(NODULE["box_xyxy"]), source)
    assert region_item(
        NODULE, IMAGE_REGION, image_item(instance, SOURCE_IMAGE, "SELECTED FROM")
    ) == Dataset.from_json(region.to_json())
    (state,), _ = write_results(tmp_path, [record], "gsps")
    (item,) = state.GraphicAnnotationSequence
    box = highdicom.pr.GraphicObject(
        "POLYLINE",
        box_points(NODULE["box_xyxy"]),
        "PIXEL",
        tracking_id="lung nodule",
        tracking_uid=item.GraphicObjectSequence[0].TrackingUID,
    )
    label = highdicom.pr.TextObject(
        "lung nodule 0.91", "PIXEL", anchor_point=(1.25, 2.5), anchor_point_visible=False
    )
    expected = highdicom.pr.GraphicAnnotation(
        [instance.header],
        highdicom.pr.GraphicLayer("CLASS1", 1),
        graphic_objects=[box],
        text_objects=[label],
    )
    own, other = (json.loads(one.to_json()) for one in (item, expected))
    assert as_float32(own) == as_float32(other)


def as_float32(value: Any) -> Any:
    """Return a JSON value with numbers of the precision of a written object."""
    if isinstance(value, dict):
        return {key: as_float32(own) for key, own in value.items()}
    if isinstance(value, list):
        return [as_float32(own) for own in value]
    return float(np.float32(value)) if isinstance(value, float) else value


def test_frames_are_referred_to_by_number_and_colour_has_its_own_state(tmp_path: Path) -> None:
    path = write_color(tmp_path / "us.dcm", frames=3)
    (state,), _ = write_results(tmp_path, [record_of(path), record_of(path, NODULE, frame=2)], "gsps")
    assert state.SOPClassUID.name == "Color Softcopy Presentation State Storage"
    assert state.ICCProfile[12:16] == b"scnr"
    (annotation,) = state.GraphicAnnotationSequence
    assert annotation.ReferencedImageSequence[0].ReferencedFrameNumber == 3
    (report,), _ = write_results(tmp_path, [record_of(path, NODULE, frame=2)], "sr")
    (group,) = report_groups(report)
    assert group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber == 3


def write_color(path: Path, frames: int) -> str:
    return write_dicom(
        path,
        np.zeros((frames, 7, 9, 3), np.uint8),
        Modality="US",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1",
        SOPInstanceUID="1.2.7.1",
        SeriesInstanceUID="1.2.7",
        StudyInstanceUID="1.2",
    )


@pytest.mark.parametrize("name", ["sr", "gsps", "seg"])
def test_equal_runs_give_equal_bytes(name: str, series: list[Path], tmp_path: Path) -> None:
    records = [record_of(path, NODULE, FREE) for path in series]
    for folder in ("a", "b"):
        write_results(tmp_path / folder, [one | {"elapsed_ms": 3.0} for one in records], name)
    first, second = ([*(tmp_path / folder / name).iterdir()] for folder in ("a", "b"))
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    other, _ = write_results(tmp_path / "c", [record_of(series[0], KIDNEY)], name)
    assert other[0].SOPInstanceUID not in {path.stem for path in first}


def test_images_that_no_result_can_refer_to_are_named_and_the_rest_is_written(
    series: list[Path], tmp_path: Path
) -> None:
    bare = write_dicom(
        tmp_path / "bare.dcm", np.zeros((7, 9), np.uint8), Modality="CT", StudyInstanceUID="1.2"
    )
    records = [
        record_of(series[0], NODULE),
        record_of(series[0], NODULE) | {"path": "x.png", "study_uid": None},
        record_of(bare),
        record_of(series[0]) | {"path": str(tmp_path / "gone.dcm")},
        {"path": "broken.dcm", "error": {"code": "truncated", "message": "", "hint": ""}},
    ]
    objects, left_out = write_results(tmp_path, records, "sr")
    assert len(objects) == 1
    assert left_out == [
        ("x.png", "it is no DICOM image and belongs to no study"),
        (str(bare), "its header has no valid Series Instance UID"),
        (str(tmp_path / "gone.dcm"), "its header can no longer be read"),
    ]


CANARIES = {
    "PatientName": "Canary^Name",
    "PatientID": "CANARYID",
    "OtherPatientNames": "Canary^Other",
    "PatientComments": "canary comments",
    "ReferringPhysicianName": "Canary^Physician",
    "StudyDescription": "canary study",
    "AccessionNumber": "CANARYACC",
    "AdditionalPatientHistory": "canary history",
    "SeriesDescription": "canary series",
    "InstitutionName": "canary hospital",
    "OperatorsName": "Canary^Operator",
    "ProtocolName": "canary protocol",
    "ImageComments": "canary image",
    "StationName": "CANARYSTATION",
    "DeviceSerialNumber": "canary serial",
}
IN_MODULES = {
    *("PatientName", "PatientID", "OtherPatientNames", "PatientComments", "ReferringPhysicianName"),
    *("StudyDescription", "AccessionNumber", "AdditionalPatientHistory"),
}
"""Canaries of the patient and study modules, which results have to repeat."""


@pytest.mark.parametrize("name", ["sr", "gsps", "seg"])
@pytest.mark.parametrize("phi", list(Phi))
def test_only_patient_and_study_modules_are_copied(name: str, phi: Phi, tmp_path: Path) -> None:
    write_series(
        tmp_path / "in", 1, PatientBirthDate="19000102", StudyDate="20200304", SliceThickness=3, **CANARIES
    )
    (path,) = (tmp_path / "in").iterdir()
    (result,), _ = write_results(tmp_path, [record_of(path, NODULE)], name, phi)
    content = next((tmp_path / name).iterdir()).read_bytes().decode("latin-1").lower()
    expected = set() if phi is Phi.HASH else IN_MODULES
    assert {key for key, text in CANARIES.items() if text.lower() in content} == expected
    assert ("19000102" in content, "20200304" in content) == (
        (False, False) if phi is Phi.HASH else (True, True)
    )
    assert ("1.2.3" in result.to_json()) is (phi is not Phi.HASH)


def test_hashed_results_of_a_patient_have_one_pseudonym(series: list[Path], tmp_path: Path) -> None:
    records = [record_of(path, NODULE) for path in series]
    (report,), _ = write_results(tmp_path, records, "sr", Phi.HASH)
    (state,), _ = write_results(tmp_path, records, "gsps", Phi.HASH)
    assert report.PatientID == state.PatientID == report.PatientName.family_name
    assert len(report.PatientID) == 16
    assert report.StudyInstanceUID == state.StudyInstanceUID
    assert report.StudyInstanceUID.startswith("2.25.")
    assert report.PatientIdentityRemoved == "YES"


def test_names_are_unicode_and_invalid_values_are_left_out(tmp_path: Path) -> None:
    write_series(
        tmp_path / "in", 1, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg", PatientSex="MALE"
    )
    (path,) = (tmp_path / "in").iterdir()
    (report,), _ = write_results(tmp_path, [record_of(path, detection("Größe 大", 0.5, 0, 0, 2, 2))], "sr")
    assert report.SpecificCharacterSet == "ISO_IR 192"
    assert report.PatientName == "Müller^Jörg"
    assert report.PatientSex == ""
    assert report_groups(report)[0].finding_type.meaning == "Größe 大"


def test_numbers_with_too_many_digits_are_rounded(series: list[Path], tmp_path: Path) -> None:
    header = pydicom.dcmread(series[0])
    tag, text = Tag("PixelSpacing"), b"0.700000000000000001\\1.30 "
    header[tag] = RawDataElement(tag, "DS", len(text), text, 0, False, True)
    header.save_as(series[0])
    (state,), _ = write_results(tmp_path, [record_of(series[0], NODULE)], "gsps")
    (area,) = state.DisplayedAreaSelectionSequence
    assert [str(value) for value in area.PresentationPixelSpacing] == ["0.7", "1.30"]


def test_every_class_of_the_lexicon_has_a_row_and_every_code_is_in_a_dictionary() -> None:
    rows = tomllib.loads(files("medrov_cli").joinpath("assets", CODES).read_text(encoding="utf-8"))
    names = [entry.name for entry in lexicon()]
    texts = {text for entry in lexicon() for text in entry.texts}
    assert list(rows) == names + [name for name in read_toml_asset(BROADER_NAMES) if name not in texts]
    known = {
        (scheme, value): {meaning.split(" (")[0].casefold() for meaning in meanings}
        for scheme, values in meanings_by_code().items()
        for value, meanings in values.items()
    }
    for name, row in rows.items():
        assert set(row) <= {"kind", "type", "site", "side"}, name
        for key in ("type", "site"):
            if key in row:
                scheme, value, meaning = row[key].split(" ", 2)
                is_known = meaning.casefold() in known.get((scheme, value), set())
                assert is_known or (scheme, value) in REVIEWED, (name, row[key])
        sides = {side for side in ("left", "right") if side in name.split()}
        assert {row["side"]} <= sides if "side" in row else not sides or name in SIDED_TYPES, name
    assert sum("type" in row for row in rows.values()) > 200


def meanings_by_code() -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for scheme in ("SCT", "DCM"):
        found[scheme] = {}
        for values in concepts[scheme].values():
            for value, (meaning, _) in values.items():
                found[scheme].setdefault(value, set()).add(meaning)
    return found


def test_synonyms_share_the_codes_of_their_class() -> None:
    assert code_of_class("  Pulmonary   NODULE ").finding == code_of_class("lung nodule").finding
    for form in ("Lung_Nodules", "lung-nodule"):
        assert code_of_class(form).finding == code_of_class("lung nodule").finding
        assert code_of_class(form).name.meaning == form
    assert code_of_class("neoplasms").finding == code_of_class("Tumour").finding == codes.SCT.Neoplasm
    assert code_of_class("organs").category.meaning == "Anatomical Structure"
    assert code_of_class("unheard of").finding.scheme_designator == "99MEDROV"
    assert code_of_class("unheard of") == code_of_class("unheard of")
    assert code_of_class("unheard of").finding.value != code_of_class("unheard of 2").finding.value


@pytest.mark.slow
def test_validators_find_no_error(series: list[Path], tmp_path: Path) -> None:
    color = write_color(tmp_path / "us.dcm", frames=2)
    records = [record_of(path, NODULE, FREE, KIDNEY) for path in series]
    photo = write_dicom(
        tmp_path / "photo.dcm",
        np.zeros((7, 9, 3), np.uint8),
        Modality="XC",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.4",
        SOPInstanceUID="1.2.8.1",
        SeriesInstanceUID="1.2.8",
        StudyInstanceUID="1.2.80",
    )
    records += [record_of(color, NODULE, frame=1), record_of(color), record_of(photo, FREE)]
    for name in ("sr", "gsps", "seg"):
        write_results(tmp_path, records, name)
    write_results(tmp_path / "none", [record_of(series[0])], "sr")
    results = [path for path in tmp_path.rglob("*.dcm") if path.parent.name in ("sr", "gsps", "seg")]
    assert len(results) == 10  # segments that overlap are in objects of their own
    assert standard_errors(results) == []
    assert validation_errors(results) == []


@pytest.mark.slow
def test_tables_of_the_standard_find_what_is_missing(series: list[Path], tmp_path: Path) -> None:
    (report,), _ = write_results(tmp_path, [record_of(path, NODULE) for path in series], "sr")
    (state,), _ = write_results(tmp_path, [record_of(series[0], NODULE)], "gsps")
    del state.ContentLabel
    items = [item for item in _content_items(report) if item.ValueType == "NUM"]
    del items[-1].MeasuredValueSequence
    items[0].GraphicType = "POINT"  # of another value type
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    report.save_as(wrong / "sr.dcm")
    state.save_as(wrong / "gsps.dcm")
    errors = standard_errors(sorted(wrong.iterdir()))
    for name, tag, problem in (
        ("gsps", "(0070,0080)", "TagMissing"),
        ("sr", "(0040,A300)", "TagMissing"),
        ("sr", "(0070,0023)", "TagNotAllowed"),
    ):
        found = [
            line for line in errors if line.startswith(f"{name}.dcm") and tag in line and problem in line
        ]
        assert found, errors


def _content_items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _content_items(child)
