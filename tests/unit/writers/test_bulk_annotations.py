"""DICOM annotations of slides: written by ``--format ann``, read back by highdicom, checked by dciodvfy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from dicom_results import detection, record_of, validation_errors, write_results
from drawn_shapes import draw
from image_files import write_dicom
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.writers.dicom.class_codes import code_of_class
from slide_files import write_dicom_slide

ROWS = [
    {**detection("nuclei", 0.91234, 1.25, 2.5, 6.13, 5.07), "box_um": [0.62, 1.25, 3.06, 2.54]},
    {**detection("blue \\ widget\n", 0.5, 0, 0, 9, 7), "box_um": [0, 0, 4.5, 3.5]},
    {**detection("nuclei", 0.25, 99987.01, 70001.52, 99999.98, 70013.06), "box_um": [1, 2, 3.5, 4]},
]

KNOWN_FAULT = (
    "Error - Only valid for AnnotationCoordinateType of 3D - attribute <CommonZCoordinateValue> = <>"
)
"""dciodvfy of dicom3tools 1.00~20220618 reports it for every object with 2D coordinates: its rule does not
ask whether the element is present. The test holds that it is absent."""


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_dicom_slide(tmp_path / "in", draw(64, 96, []))[0]


def objects_of(folder: Path, records: list[dict[str, Any]], phi: Phi = Phi.DROP) -> Any:
    found, left_out = write_results(folder, records, "ann", phi)
    return found, left_out


def test_each_class_is_a_group_with_its_boxes_and_scores(slide: Path, tmp_path: Path) -> None:
    (found,), left_out = objects_of(tmp_path, [record_of(slide, *ROWS)])
    assert left_out == []
    header = pydicom.dcmread(slide)
    assert found.StudyInstanceUID == header.StudyInstanceUID
    (series,) = found.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == header.SeriesInstanceUID
    assert found.ReferencedImageSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID
    assert found.PatientName == "DOE^JANE"
    read = highdicom.ann.MicroscopyBulkSimpleAnnotations.from_dataset(found)
    groups = read.get_annotation_groups()
    assert [group.label for group in groups] == ["nuclei", "blue widget"]
    assert groups[0].annotated_property_type == code_of_class("nuclei").finding
    assert groups[1].annotated_property_type.scheme_designator == "99MEDROV"
    for group, rows in zip(groups, ((ROWS[0], ROWS[2]), (ROWS[1],)), strict=True):
        boxes = [[*one.min(0), *one.max(0)] for one in group.get_graphic_data(coordinate_type="2D")]
        np.testing.assert_allclose(boxes, [row["box_xyxy"] for row in rows], atol=0.01)
        names, values, units = group.get_measurements()
        assert [name.meaning for name in names] == ["Certainty of Finding", "Width", "Height"]
        assert [unit.value for unit in units] == ["%", "um", "um"]
        np.testing.assert_allclose(values[:, 0], [100 * row["score"] for row in rows], rtol=1e-5)
        sides = [np.subtract(row["box_um"][2:], row["box_um"][:2]) for row in rows]
        np.testing.assert_allclose(values[:, 1:], sides, atol=0.01)
        assert group.algorithm_identification.name == "medrov tiny"


def test_small_coordinates_are_stored_in_32_bits(slide: Path, tmp_path: Path) -> None:
    (found,), _ = objects_of(tmp_path, [record_of(slide, *ROWS[:2])])
    assert all("PointCoordinatesData" in group for group in found.AnnotationGroupSequence)
    (found,), _ = objects_of(tmp_path / "large", [record_of(slide, ROWS[2])])
    assert "DoublePointCoordinatesData" in found.AnnotationGroupSequence[0]


def test_equal_results_give_equal_bytes(slide: Path, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        objects_of(tmp_path / name, [record_of(slide, *ROWS)])
        (file,) = (tmp_path / name / "ann").iterdir()
        contents.append((file.name, file.read_bytes()))
    assert contents[0] == contents[1]
    objects_of(tmp_path / "three", [record_of(slide, *ROWS[:1])])
    assert next((tmp_path / "three" / "ann").iterdir()).name != contents[0][0]


def test_pseudonyms_replace_the_patient(slide: Path, tmp_path: Path) -> None:
    objects_of(tmp_path, [record_of(slide, *ROWS)], Phi.HASH)
    (file,) = (tmp_path / "ann").iterdir()
    assert b"DOE" not in file.read_bytes()
    assert str(pydicom.dcmread(slide).SeriesInstanceUID).encode() not in file.read_bytes()


def test_what_is_no_slide_is_left_out(slide: Path, tmp_path: Path) -> None:
    photo = write_dicom(tmp_path / "photo.dcm", np.zeros((7, 9), np.uint8), StudyInstanceUID="1.2.80",
                        SeriesInstanceUID="1.2.8", SOPInstanceUID="1.2.8.1")  # fmt: skip
    found, left_out = objects_of(tmp_path, [record_of(photo, ROWS[1]), record_of(slide)])
    assert found == []  # the slide has no detection
    assert left_out == [(str(photo), "it is no DICOM whole slide")]
    for name in ("sr", "gsps"):
        found, left_out = write_results(tmp_path / name, [record_of(slide, ROWS[1])], name)
        assert found == []
        assert left_out == [(str(slide), "it is a whole slide: use the format ann")]


def add_specimen(slide: Path) -> None:
    """Add the specimen module, as scanners do."""
    dataset = pydicom.dcmread(slide)
    dataset.ContainerIdentifier = "S1"
    dataset.IssuerOfTheContainerIdentifierSequence = []
    dataset.ContainerTypeCodeSequence = [highdicom.sr.CodedConcept("433466003", "SCT", "Microscope slide")]
    specimen = pydicom.Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "S1", "1.2.3"
    specimen.IssuerOfTheSpecimenIdentifierSequence, specimen.SpecimenPreparationSequence = [], []
    dataset.SpecimenDescriptionSequence = [specimen]
    dataset.save_as(slide)


@pytest.mark.parametrize(("phi", "specimen"), [(Phi.DROP, False), (Phi.DROP, True), (Phi.HASH, True)])
def test_dciodvfy_finds_no_error(slide: Path, tmp_path: Path, phi: Phi, specimen: bool) -> None:
    if specimen:
        add_specimen(slide)
    (found,), _ = objects_of(tmp_path, [record_of(slide, *ROWS)], phi)
    assert ("SpecimenDescriptionSequence" in found) is (specimen and phi is Phi.DROP)
    assert all("CommonZCoordinateValue" not in group for group in found.AnnotationGroupSequence)
    (file,) = (tmp_path / "ann").iterdir()
    errors = [text for text in validation_errors([file]) if not text.endswith(KNOWN_FAULT)]
    assert errors == []
