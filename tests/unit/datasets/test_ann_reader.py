"""Slides with DICOM annotations: their objects, and tiles with boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom import ann
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from conftest import Medrov
from dicom_results import detection, record_of, write_results
from drawn_shapes import draw
from medrov_cli.core.datasets.slides.objects import are_inside
from medrov_cli.core.datasets.slides.pairs import pair_ann
from slide_files import write_dicom_slide

ROWS = [
    detection("nuclei", 0.9, 1.27, 2.5, 6.13, 5.07),
    detection("gland", 0.5, 90.01, 60.02, 103.33, 71.99),
    detection("nuclei", 0.25, 80.12, 20, 95.5, 31.87),
]


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    image = draw(128, 192, [])
    image[(image == 255).all(2)] = (240, 170, 210)
    return write_dicom_slide(tmp_path / "slides", image)[0]


def write_ann(
    path: Path, slide: Path, kind: str, shapes: list[Any], label: str = "cell", **more: Any
) -> None:
    """Write an annotation object with one group by highdicom."""
    source = pydicom.dcmread(slide, stop_before_pixels=True)
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"):
        setattr(source, keyword, "")
    source.StudyTime = ""
    group = ann.AnnotationGroup(
        1, "1.2.3", label, codes.SCT.AnatomicalStructure, codes.SCT.Nucleus, kind,
        [np.array(shape, dtype=np.float64) for shape in shapes], "MANUAL",
    )  # fmt: skip
    coordinates = f"{len(shapes[0][0])}D"
    found = ann.MicroscopyBulkSimpleAnnotations(
        [source], coordinates, [group], "1.2.4", 1, "1.2.5", 1, "a", "b", "c", "d"
    )
    for keyword, value in more.items():
        setattr(found, keyword, value)
    path.parent.mkdir(exist_ok=True)
    found.save_as(path, enforce_file_format=True)


def objects_of(folder: Path, images: Path) -> Any:
    (slide,) = pair_ann(folder, images).slides
    return slide.read(("region*",))


def convert(medrov: Medrov, folder: Path, *more: str) -> Any:
    arguments = ("data", "convert", folder / "notes", "--images", folder / "slides", "--from", "ann")
    found = medrov(
        *arguments, "--modality", "histopathology", "--licence", "x", "-o", folder / "out", "--json", *more
    )
    return found, json.loads(found.stdout)


def test_detections_come_back_as_they_were_written(medrov: Medrov, slide: Path, tmp_path: Path) -> None:
    write_results(tmp_path, [record_of(slide, *ROWS)], "ann")
    (tmp_path / "ann").rename(tmp_path / "notes")
    found, report = convert(medrov, tmp_path, "--tile", "192")
    assert found.exit_code == 0, report
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    names = {own["id"]: own["name"] for own in document["categories"]}
    boxes = {(names[own["category_id"]], *own["bbox"]) for own in document["annotations"]}
    for row in ROWS:
        x1, y1, x2, y2 = row["box_xyxy"]
        assert any(
            name == row["class"] and np.allclose(box, [x1, y1, x2 - x1, y2 - y1], atol=0.01)
            for name, *box in boxes
        )
    assert len(boxes) == 3
    (image,) = document["images"]
    assert (image["width"], image["height"]) == (192, 128)


def test_each_shape_has_its_outer_box(slide: Path, tmp_path: Path) -> None:
    square = [(10, 10), (30, 10), (30, 40), (10, 40)]
    diagonal = [(40, 20), (60, 40), (45, 35), (55, 25)]  # half axes (10, 10) and (5, -5)
    triangle = [(70, 5), (90, 5), (80, 25)]
    write_ann(tmp_path / "r" / "a.dcm", slide, "RECTANGLE", [square])
    write_ann(tmp_path / "e" / "a.dcm", slide, "ELLIPSE", [diagonal, square])
    write_ann(tmp_path / "p" / "a.dcm", slide, "POLYGON", [triangle, square])
    write_ann(tmp_path / "l" / "a.dcm", slide, "POLYLINE", [triangle])
    boxes = {key: objects_of(tmp_path / key, tmp_path / "slides") for key in "repl"}
    assert boxes["r"].boxes_xyxy.tolist() == [[10, 10, 30, 40]]
    half = 125**0.5
    np.testing.assert_allclose(boxes["e"].boxes_xyxy[0], [50 - half, 30 - half, 50 + half, 30 + half])
    assert boxes["p"].boxes_xyxy.tolist() == [[70, 5, 90, 25], [10, 10, 30, 40]]
    assert boxes["p"].names == ("cell", "cell")
    assert len(boxes["l"].boxes_xyxy) == 0
    assert boxes["l"].warnings == ("points and lines were left out",)


def test_positions_in_mm_are_those_of_the_slide(slide: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(slide)
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20.0, 40.0
    dataset.TotalPixelMatrixOriginSequence = [origin]
    dataset.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]  # rows run to -y, columns to -x
    dataset.save_as(slide, enforce_file_format=True)
    # A pixel has 0.0005 mm; the corner of the first one is half a pixel before its centre.
    corners = [(10, 20), (30, 20), (30, 60), (10, 60)]
    points = [(20 - 0.0005 * (row - 0.5), 40 - 0.0005 * (column - 0.5), 0.0) for column, row in corners]
    write_ann(tmp_path / "n" / "a.dcm", slide, "POLYGON", [points, points])
    found = objects_of(tmp_path / "n", tmp_path / "slides")
    np.testing.assert_allclose(found.boxes_xyxy, [[10, 20, 30, 60]] * 2, atol=1e-6)


def test_coordinates_of_a_coarser_level_are_scaled(slide: Path, tmp_path: Path) -> None:
    write_ann(
        tmp_path / "n" / "a.dcm", slide.parent / "level1.dcm", "RECTANGLE", [[(1, 2), (3, 2), (3, 5), (1, 5)]]
    )
    (paired,) = pair_ann(tmp_path / "n", tmp_path / "slides").slides
    assert paired.slide == slide
    assert paired.read(()).boxes_xyxy.tolist() == [[4, 8, 12, 20]]


def test_regions_are_outlines_and_no_objects(slide: Path, tmp_path: Path) -> None:
    write_ann(tmp_path / "n" / "a.dcm", slide, "POLYGON", [[(0, 0), (9, 0), (0, 9)]], "Region*")
    found = objects_of(tmp_path / "n", tmp_path / "slides")
    assert found.names == ()
    (rings,) = found.regions
    points = np.array([(1, 1), (8, 8), (0, 0), (4.4, 4.4), (4.6, 4.6)], dtype=float)
    assert are_inside(points, rings).tolist() == [True, False, True, True, False]


def test_all_annotations_of_a_slide_are_joined(slide: Path, tmp_path: Path) -> None:
    square = [(1, 2), (3, 2), (3, 5), (1, 5)]
    for number, (kind, label) in enumerate(
        [("RECTANGLE", "cell"), ("RECTANGLE", "gland"), ("POLYGON", "Region*")]
    ):
        write_ann(
            tmp_path / "n" / f"{number}.dcm", slide, kind, [square], label, SOPInstanceUID=f"1.2.5.{number}"
        )
    found = objects_of(tmp_path / "n", tmp_path / "slides")
    assert found.names == ("cell", "gland")
    assert found.boxes_xyxy.tolist() == [[1, 2, 3, 5]] * 2
    assert len(found.regions) == 1


def test_annotations_without_their_slide_are_failures(medrov: Medrov, slide: Path, tmp_path: Path) -> None:
    square = [(1, 2), (3, 2), (3, 5), (1, 5)]
    write_ann(tmp_path / "notes" / "a.dcm", slide, "RECTANGLE", [square])
    other = write_dicom_slide(tmp_path / "other", draw(32, 32, []))[0]
    write_ann(tmp_path / "notes" / "b.dcm", other, "RECTANGLE", [square], SOPInstanceUID="1.2.6")
    found, report = convert(medrov, tmp_path)
    assert found.exit_code == 3
    assert [one["error"]["code"] for one in report["failures"]] == ["not_found"]


@pytest.mark.parametrize(
    "change",
    [
        {"PixelOriginInterpretation": "FRAME"},
        {"AnnotationCoordinateType": "3D"},
        {"NumberOfAnnotations": 7},
        {"GraphicType": "POLYGON"},
        {"PointCoordinatesData": b"\0\0\xc0\x7f" * 8},
        {"PointCoordinatesData": b"\0\0"},
    ],
)
def test_damaged_annotations_are_failures(
    medrov: Medrov, slide: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    path = tmp_path / "notes" / "a.dcm"
    write_ann(path, slide, "RECTANGLE", [[(1, 2), (3, 2), (3, 5), (1, 5)]])
    dataset = pydicom.dcmread(path)
    (group,) = dataset.AnnotationGroupSequence
    for keyword, value in change.items():
        if keyword == "PointCoordinatesData":
            del group.DoublePointCoordinatesData
        setattr(dataset if keyword in dataset else group, keyword, value)
    dataset.save_as(path)
    found, report = convert(medrov, tmp_path)
    assert found.exit_code == 4
    assert report["failures"][0]["error"]["code"] == "bad_metadata"


def test_a_folder_without_annotations_is_refused(medrov: Medrov, slide: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    found = medrov("data", "convert", tmp_path / "notes", "--images", slide.parent, "--from", "ann",
                   "--modality", "histopathology", "--licence", "x", "-o", tmp_path / "out")  # fmt: skip
    assert found.exit_code == 4
    assert "DICOM annotations" in found.stderr
