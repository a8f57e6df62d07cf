"""DICOM images with a table of boxes: RSNA's and VinDr-CXR's columns, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_files import PATIENT_ID, read_one, write_dicom
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import hashed_case
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings, parse_case_pattern
from medrov_cli.core.settings.label_map import parse_labels

RSNA = """patientId,x,y,width,height,Target
b,2,1,3,4,1
b,5.5,0,2,1,1
a,,,,,0
"""
VINDR = """image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max
a,Pleural effusion,10,R9,1.0,2.0,4.5,3.0
a,Aortic enlargement,0,R8,0,0,2,2
a,Aortic enlargement,0,R9,0,0,2,2.5
b,No finding,14,R9,,,,
b,No finding,14,R8,0,0,1,1
"""


def films(folder: Path, *names: str, **attributes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.arange(48, dtype=np.uint16).reshape(6, 8) * 20 + number
        own = {"SOPInstanceUID": f"1.5.{number}", "StudyInstanceUID": f"1.6.{number}", "Modality": "CR"}
        write_dicom(folder / name, pixels, **{**own, **attributes})
    return folder


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, **options: Any) -> Reading:
    return find_reader("dicom-csv")(ReaderSettings(path, **options))


def all_of(reading: Reading) -> dict[str, AnnotatedImage | MedrovError]:
    found: dict[str, AnnotatedImage | MedrovError] = {}
    for unit in reading.units:
        try:
            (found[unit.path],) = unit.read()
        except MedrovError as error:
            found[unit.path] = error
    return found


def boxes(image: AnnotatedImage | MedrovError) -> list[tuple[Any, ...]]:
    assert isinstance(image, AnnotatedImage), image.message
    return [(own.class_name, *own.box_xywh) for own in image.annotations]


def test_rsna(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "a.dcm", "b.dcm", "not_in_the_table.dcm")
    reading = read(folder, csv=table(tmp_path / "labels.csv", RSNA))
    found = all_of(reading)
    assert list(found) == ["a.dcm", "b.dcm"]
    assert boxes(found["a.dcm"]) == []  # looked at, and nothing there
    assert boxes(found["b.dcm"]) == [("pneumonia", 2, 1, 3, 4), ("pneumonia", 5.5, 0, 2, 1)]
    assert reading.class_names == ("pneumonia",)
    (told,) = reading.warnings
    assert told.endswith("not_in_the_table.dcm")
    for label in ("lung opacity", "1=lung opacity"):
        named = read(folder, csv=tmp_path / "labels.csv", labels=parse_labels(label))
        assert named.class_names == ("lung opacity",)


def test_vindr_keeps_the_boxes_of_all_readers(tmp_path: Path) -> None:
    folder = films(tmp_path / "in" / "train", "a.dicom", "b.dicom")
    table(tmp_path / "in" / "train.csv", VINDR)
    reading = read(tmp_path / "in")  # the only table beside them
    assert reading.class_names == ("Aortic enlargement", "Pleural effusion")  # by class_id
    found = all_of(reading)
    assert boxes(found["train/a.dicom"]) == [
        ("Pleural effusion", 1, 2, 3.5, 1),
        ("Aortic enlargement", 0, 0, 2, 2),
        ("Aortic enlargement", 0, 0, 2, 2.5),
    ]
    assert boxes(found["train/b.dicom"]) == []
    assert folder.is_dir()


# Of three readers: R1 and R2 agree on an opacity (8 of 12 pixels are in both), R3 does not (4 of 12).
READERS = """rad_id,image_id,class_name,x_min,y_min,x_max,y_max
R1,a,Opacity,0,0,5,2
R3,a,Opacity,4,0,7,2
R2,a,Mass,0,0,5,2
R2,a,Opacity,1,0,6,2
R2,b,No finding,,,,
R1,b,No finding,,,,
"""


def test_boxes_that_readers_agree_on_become_their_mean(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "a.dcm", "b.dcm")
    reading = read(folder, csv=table(tmp_path / "t.csv", READERS), readers="merge")
    found = all_of(reading)
    assert boxes(found["a.dcm"]) == [
        ("Opacity", 0.5, 0, 5, 2),  # 0..5 and 1..6
        ("Opacity", 4, 0, 3, 2),
        ("Mass", 0, 0, 5, 2),  # of another class
    ]
    assert boxes(found["b.dcm"]) == []
    assert len(boxes(all_of(read(folder, csv=tmp_path / "t.csv"))["a.dcm"])) == 4


def test_merging_needs_to_know_who_has_drawn_a_box(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "a.dcm", "b.dcm")
    with pytest.raises(MedrovError, match=r"--readers merge: t\.csv") as caught:
        read(folder, csv=table(tmp_path / "t.csv", RSNA), readers="merge")
    assert caught.value.code is ErrorCode.USAGE
    assert "rad_id" in caught.value.hint
    unsigned = table(tmp_path / "t.csv", READERS.replace("R2,a,Mass", ",a,Mass"))
    found = all_of(read(folder, csv=unsigned, readers="merge"))
    error = found["a.dcm"]
    assert isinstance(error, MedrovError)
    assert error.message == "Line 4 of the table has a box without a reader."
    assert boxes(found["b.dcm"]) == []
    assert len(boxes(all_of(read(folder, csv=unsigned))["a.dcm"])) == 4


def test_pixels_are_those_of_detect_and_names_say_nothing(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "a.dcm", "b.dcm", PhotometricInterpretation="MONOCHROME1")
    for window in ("auto", "400,500"):
        found = all_of(read(folder, csv=table(tmp_path / "t.csv", RSNA), window=window))
        for name, image in found.items():
            assert isinstance(image, AnnotatedImage)
            assert (image.read() == read_one(folder / name, window).pixels_rgb).all()
    image = found["b.dcm"]
    assert isinstance(image, AnnotatedImage)
    assert (image.height, image.width) == (6, 8)
    assert image.name == hashed_case("1.5.1")
    assert image.case == hashed_case(PATIENT_ID)


def test_the_case_is_the_patient_or_the_study_or_in_the_path(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "a.dcm", "b.dcm", PatientID=None)
    table(tmp_path / "t.csv", RSNA)
    for options, cases in (
        ({}, ["1.6.0", "1.6.1"]),
        ({"case": parse_case_pattern(r"^(.)\.dcm")}, ["a", "b"]),
    ):
        found = all_of(read(folder, csv=tmp_path / "t.csv", **options))
        assert [image.case for image in found.values()] == [hashed_case(text) for text in cases]


def test_images_are_found_by_their_uid(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "IM001", "IM002")
    text = RSNA.replace("\nb", "\n1.5.1").replace("\na", "\n1.5.0")
    found = all_of(read(table(tmp_path / "t.csv", text), images=folder))  # the table as INPUT
    assert {path: len(boxes(image)) for path, image in found.items()} == {"IM001": 0, "IM002": 2}


def test_an_image_that_is_not_there_is_named_by_its_line(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "b.dcm")
    found = all_of(read(folder, csv=table(tmp_path / "t.csv", RSNA.replace("\na", "\nDOE^JOHN"))))
    assert list(found) == ["b.dcm", "t.csv:4"]
    error = found["t.csv:4"]
    assert isinstance(error, MedrovError)
    assert error.code is ErrorCode.NOT_FOUND
    assert "DOE" not in error.message + error.hint


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,1,2,x,4,1", "fewer than four numbers"),
        ("a,1,,3,4,1", "fewer than four numbers"),
        ("a,1,2,0,4,1", "without an area"),
        ("a,1,2,inf,4,1", "without an area"),
        ("a,,,,,1", "is positive, but has no box"),
        ("a,,,,,1.0", "is positive, but has no box"),
    ],
)
def test_a_bad_line_spoils_its_image_alone(tmp_path: Path, line: str, said: str) -> None:
    folder = films(tmp_path / "in", "a.dcm", "b.dcm")
    found = all_of(read(folder, csv=table(tmp_path / "t.csv", RSNA + line + "\n")))
    error = found["a.dcm"]
    assert isinstance(error, MedrovError)
    assert error.code is ErrorCode.BAD_METADATA
    assert error.message.startswith("Line 5 of the table")
    assert said in error.message
    assert len(boxes(found["b.dcm"])) == 2


def test_files_that_cannot_be_read_fail_alone(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "b.dcm")
    write_dicom(folder / "c.dcm", np.zeros((2, 6, 8), np.uint8), SOPInstanceUID="1.5.9")
    (folder / "d.dcm").write_bytes((folder / "b.dcm").read_bytes()[:-9])
    (folder / "e.dcm").write_text("no image")
    text = RSNA.replace("\na,", "\nb,") + "c,,,,,0\nd,,,,,0\ne,,,,,0\n"
    found = all_of(read(folder, csv=table(tmp_path / "t.csv", text)))
    assert len(boxes(found.pop("b.dcm"))) == 2
    codes = {path: error.code for path, error in found.items() if isinstance(error, MedrovError)}
    assert codes == {
        "c.dcm": ErrorCode.UNSUPPORTED_FORMAT,
        "d.dcm": ErrorCode.TRUNCATED,
        "e.dcm": ErrorCode.UNSUPPORTED_FORMAT,
    }


def refusal(path: Path, **options: Any) -> ErrorCode:
    with pytest.raises(MedrovError) as caught:
        read(path, **options)
    return caught.value.code


def test_what_cannot_be_read_at_all(tmp_path: Path) -> None:
    folder = films(tmp_path / "in", "a.dcm", "b.dcm")
    assert refusal(tmp_path / "none") is ErrorCode.NOT_FOUND
    assert refusal(folder) is ErrorCode.USAGE  # no table
    assert refusal(folder, csv=tmp_path / "none.csv") is ErrorCode.NOT_FOUND
    assert refusal(folder, csv=table(tmp_path / "a.csv", "name,box\na,1\n")) is ErrorCode.DATASET_INVALID
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    assert refusal(folder, csv=tmp_path / "b.csv") is ErrorCode.DATASET_INVALID
    others = RSNA.replace("\na", "\ny").replace("\nb", "\nz")
    assert refusal(folder, csv=table(tmp_path / "c.csv", others)) is ErrorCode.NO_INPUT
    films(folder / "copy", "a.dcm")
    assert refusal(folder, csv=table(tmp_path / "d.csv", RSNA)) is ErrorCode.DATASET_INVALID
