"""Forms of YOLO label files and layouts, and labels that would be lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.image_names import fold_name
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading
from medrov_cli.core.datasets.readers.shared import yolo_label_files
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings

HEIGHT, WIDTH = 40, 100
BOX = "0 0.2 0.5 0.1 0.25"  # centre 20, 20; 10 wide, 10 high
EXPECTED = [("cell", 15, 15, 10, 10)]


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), 99, np.uint8))[1].tobytes())


def text(path: Path, content: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))


def dataset(folder: Path, lines: str, more: str = "") -> Path:
    text(folder / "data.yaml", f"train: images\nnames: [cell, nucleus]\n{more}")
    picture(folder / "images" / "a.png")
    text(folder / "labels" / "a.txt", lines)
    return folder


def read(path: Path, **options: Any) -> Reading:
    return find_reader("yolo")(ReaderSettings(path, **options))


def results(reading: Reading) -> dict[str, list[tuple[Any, ...]] | ErrorCode]:
    found: dict[str, list[tuple[Any, ...]] | ErrorCode] = {}
    for unit in reading.units:
        try:
            (image,) = unit.read()
            found[unit.path] = [(own.class_name, *own.box_xywh) for own in image.annotations]
        except MedrovError as error:
            found[unit.path] = error.code
    return found


def only(folder: Path) -> list[tuple[Any, ...]] | ErrorCode:
    return results(read(folder))["images/a.png"]


@pytest.mark.parametrize(
    ("line", "more"),
    [
        (BOX, ""),
        (f"{BOX} 0.87", ""),
        (f"{BOX} 1", ""),
        (f"{BOX} 17", ""),  # number of a track
        (f"{BOX} 0.87 17", ""),
        (f"{BOX} 0.18 0.5 2 0.22 0.5 1", "kpt_shape: [2, 3]"),
        (f"{BOX} 0.18 0.5 2 0.22 0.5 1 0.87", "kpt_shape: [2, 3]"),
        (f"{BOX} 0.18 0.5 0.22 0.5", "kpt_shape: [2, 2]"),
        (f"{BOX} 0.18 0.5 2 0.22 0.5 1", ""),  # a visibility of 2 is no coordinate
        (f"{BOX} 0 0 0", ""),
        ("0 0.15 0.375 0.25 0.375 0.25 0.625 0.15 0.625", ""),
        ("0 0.15 0.375 0.25 0.375 0.25 0.625 0.15 0.625 0.87", ""),
        ("0 0.15 0.375 0.25 0.375 0.2 0.625", ""),
        ("0 0.15 0.375 0.25 0.375 0.25 0.625 0.15 0.625 17", ""),
        ("0 0.15 0.375 0.25 0.375 0.25 0.625 0.15 0.625 0.87 17", ""),
    ],
)
def test_a_line_is_read_in_the_form_that_fits(tmp_path: Path, line: str, more: str) -> None:
    assert only(dataset(tmp_path, line, more)) == EXPECTED


def test_a_polygon_that_may_be_keypoints_is_one_if_no_edges_cross(tmp_path: Path) -> None:
    # As centre and size, the first two corners are a box around all others.
    corners = ((6, 5), (5.7, 5.7), (5, 6), (4.3, 5.7), (4, 5), (4.3, 4.3), (5, 4), (5.7, 4.3))
    line = " ".join(f"{x / 10} {y / 10}" for x, y in corners)
    assert only(dataset(tmp_path / "simple", f"0 {line}")) == [("cell", 40, 16, 20, 8)]
    crossed = " ".join(f"{x / 10} {y / 10}" for x, y in (*corners[:2], *corners[7:1:-1]))
    assert only(dataset(tmp_path / "crossed", f"0 {crossed}")) is ErrorCode.BAD_METADATA


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("0 20 20 10 10", ""),
        ("0 20 50 10 25", ""),
        ("0 15 15 25 15 25 25 15 25", ""),
        ("0 0.2 0.5 -0.1 0.25", ""),
        (f"{BOX} -3", ""),
        (f"{BOX} 0.1 0.2", "kpt_shape: [2, 3]"),
        (f"{BOX} 0.18 0.5 1 0.22 0.5 1", ""),  # a polygon of five corners, or two keypoints in the box
        (BOX + " 0.19 0.48 0.9" * 4, ""),  # keypoints with confidences
        ("0 0.5 0.5 0.4 0.4" + "".join(f" {0.4 + n / 100} {0.45 + n / 200} 0.9" for n in range(17)), ""),
        ("0 0.15 0.375 0.25 0.375 0.25 0.625 0.15 0.625 0.87 1", ""),  # a corner, or confidence and track
    ],
)
def test_a_line_that_may_mean_something_else_is_refused(tmp_path: Path, line: str, more: str) -> None:
    assert only(dataset(tmp_path, line, more)) is ErrorCode.BAD_METADATA


def test_what_is_left_out_of_a_line_is_told(tmp_path: Path) -> None:
    for number, (line, word) in enumerate(
        [(f"{BOX} 0.87", "confidence"), (f"{BOX} 0.5 0.5 2", "keypoint"), ("0 0.5 0.2 0.9 0.9", "corners")]
    ):
        (unit,) = read(dataset(tmp_path / str(number), line)).units
        (image,) = unit.read()
        assert isinstance(image, AnnotatedImage)
        assert word in " ".join(image.warnings)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_with_a_mark(tmp_path: Path, encoding: str) -> None:
    text(tmp_path / "data.yaml", "train: train.txt\nnames: {'0': cell, '1': nucleus}\n", encoding)
    text(tmp_path / "train.txt", "D:\\set\\images\\a.png\r\n", encoding)
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "labels" / "a.txt", BOX + "\r\n", encoding)
    assert results(read(tmp_path)) == {"images/a.png": EXPECTED}


@pytest.mark.parametrize(
    "names", [("Images", "Labels", "a.png", "a.txt"), ("images", "labels", "a.PNG", "A.TXT")]
)
def test_letter_case_loses_no_label(tmp_path: Path, names: tuple[str, str, str, str]) -> None:
    images, labels, image, label = names
    text(tmp_path / "data.yaml", f"train: {images}\nnames: [cell]\n")
    picture(tmp_path / images / image)
    text(tmp_path / labels / label, BOX)
    assert results(read(tmp_path)) == {f"{images}/{image}": EXPECTED}


def test_a_label_file_without_an_image_fails(tmp_path: Path) -> None:
    dataset(tmp_path, BOX)
    text(tmp_path / "labels" / "b.txt", BOX)
    text(tmp_path / "labels" / "classes.txt", "cell\nnucleus\n")
    text(tmp_path / "labels" / "val" / "c.txt", BOX)  # of a split that data.yaml does not name
    assert results(read(tmp_path)) == {"images/a.png": EXPECTED, "labels/b.txt": ErrorCode.NOT_FOUND}


def test_label_files_are_found_in_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(yolo_label_files, "fold_name", lambda name: calls.append(name) or fold_name(name))
    for number in range(40):
        text(tmp_path / "labels" / f"{number}.TXT", BOX)
    images = [tmp_path / "images" / f"{number}.png" for number in range(40)]
    found = yolo_label_files.LabelFiles(images).by_image
    assert list(found.values()) == [tmp_path / "labels" / f"{number}.TXT" for number in range(40)]
    assert len(calls) < 5 * 40  # the suffix and the stem of each file, the stem of each image


def test_images_without_labels_are_told(tmp_path: Path) -> None:
    dataset(tmp_path, BOX)
    assert read(tmp_path).warnings == ()
    picture(tmp_path / "images" / "b.png")
    (told,) = read(tmp_path).warnings
    assert told.startswith("1 image(s) have no label file")
    assert told.endswith("images/b.png")
    (tmp_path / "labels" / "a.txt").unlink()
    (told,) = read(tmp_path).warnings
    assert "no image has a label file" in told


def test_a_list_with_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    dataset(tmp_path / "in", BOX)
    picture(tmp_path / "secret" / "b.png")
    text(tmp_path / "in" / "train.txt", "/content/set/images/a.png\n../secret/b.png\nimages/c.png\n")
    text(tmp_path / "in" / "data.yaml", "train: train.txt\nnames: [cell]\n")
    assert results(read(tmp_path / "in")) == {
        "images/a.png": EXPECTED,
        "../secret/b.png": ErrorCode.BAD_METADATA,
        "images/c.png": ErrorCode.NOT_FOUND,
    }


def test_darknet(tmp_path: Path) -> None:
    text(
        tmp_path / "obj.data",
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n",
    )
    text(tmp_path / "obj.names", "cell\nnucleus\n")
    for split, stem in (("train", "a"), ("valid", "b")):
        text(tmp_path / f"{split}.txt", f"data/obj_{split}_data/{stem}.png\n")
        picture(tmp_path / f"obj_{split}_data" / f"{stem}.png")
        text(tmp_path / f"obj_{split}_data" / f"{stem}.txt", BOX)
    reading = read(tmp_path)
    assert results(reading) == {"obj_train_data/a.png": EXPECTED, "obj_valid_data/b.png": EXPECTED}
    assert [image.split for unit in reading.units for image in unit.read()] == ["train", "val"]
    assert reading.class_names == ("cell", "nucleus")


@pytest.mark.parametrize("names", ["[no, null, 010]", "{0: no, 1: null, 2: 010}"])
def test_class_names_of_yaml_are_texts(tmp_path: Path, names: str) -> None:
    dataset(tmp_path, BOX)
    text(tmp_path / "data.yaml", f"train: images\nval:\nnames: {names}\n")
    assert read(tmp_path).class_names == ("no", "null", "010")


def test_classes_in_a_text_file(tmp_path: Path) -> None:
    text(tmp_path / "classes.txt", "nucleus\n\ncell\n\n")  # labelImg counts the empty line
    text(tmp_path / "notes.json", "{}")
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "labels" / "a.txt", BOX.replace("0", "2", 1))
    assert results(read(tmp_path)) == {"images/a.png": EXPECTED}
    assert read(tmp_path).class_names == ("nucleus", "cell")


def test_fractions_are_of_the_turned_image(tmp_path: Path) -> None:
    dataset(tmp_path, "0 0.275 0.3333333 0.3 0.3333333")
    (tmp_path / "images" / "a.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "images" / "a.jpg", exif=exif)
    # 5, 10, 12 x 20 of the image of 40 x 60 pixels that a viewer shows; stored pixels have it turned left.
    (found,) = results(read(tmp_path)).values()
    assert not isinstance(found, ErrorCode)
    np.testing.assert_allclose(found[0][1:], (10, 23, 20, 12), atol=1e-3)


@pytest.mark.parametrize(
    "entry", ["IMAGES", "C:\\set\\images", "/content/set/images", "../in/Images", "./images/"]
)
def test_the_folder_of_a_split_is_found(tmp_path: Path, entry: str) -> None:
    dataset(tmp_path / "in", BOX)
    text(tmp_path / "in" / "data.yaml", f"path: D:\\set\ntrain: {entry}\nnames: [cell]\n")
    assert results(read(tmp_path / "in")) == {"images/a.png": EXPECTED}
