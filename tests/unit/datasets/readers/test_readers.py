"""Each raster format is read to the boxes that were computed by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import hashed_case, local_case
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading, Unit
from medrov_cli.core.datasets.readers.registry import READERS
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.data_convert import ReaderSettings, parse_case_pattern
from medrov_cli.core.settings.label_map import LabelMap

HEIGHT, WIDTH = 6, 10


def picture(path: Path, height: int = HEIGHT, width: int = WIDTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 99, np.uint8))


def mask(path: Path, *parts: tuple[slice, slice, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    for rows, columns, value in parts:
        values[rows, columns] = value
    cv2.imwrite(str(path), values)


def read_all(form: str, path: Path, **options: Any) -> dict[str, AnnotatedImage | ErrorCode]:
    """Return the image of each unit, or the code of its error."""
    found: dict[str, AnnotatedImage | ErrorCode] = {}
    for unit in find_reader(form)(ReaderSettings(path, **options)).units:
        try:
            (found[unit.path],) = unit.read()
        except MedrovError as error:
            found[unit.path] = error.code
    return found


def refusal(form: str, path: Path, **options: Any) -> MedrovError:
    with pytest.raises(MedrovError) as caught:
        find_reader(form)(ReaderSettings(path, **options))
    return caught.value


def boxes(image: AnnotatedImage | ErrorCode) -> list[tuple[Any, ...]]:
    assert isinstance(image, AnnotatedImage), image
    return [(own.class_name, *own.box_xywh) for own in image.annotations]


# Masks


def test_masks_with_a_class_a_value(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.jpg", "c.png", "d.png"):
        picture(tmp_path / "images" / name)
    masks = tmp_path / "masks"
    mask(masks / "a.png", (slice(1, 3), slice(2, 5), 1), (slice(5, 6), slice(9, 10), 2))
    mask(masks / "sub" / "b_mask.png")
    mask(masks / "c.png", (slice(0, 1), slice(0, 1), 7))
    mask(masks / "lonely.png")
    labels = LabelMap({1: "liver", 2: "kidney"})
    found = read_all("masks", tmp_path, labels=labels, case=parse_case_pattern("^sub"))
    assert list(found) == ["a.png", "c.png", "d.png", "sub/b.jpg", "lonely.png"]
    assert boxes(found["a.png"]) == [("liver", 2, 1, 3, 2), ("kidney", 9, 5, 1, 1)]
    second = found["sub/b.jpg"]
    assert boxes(second) == []
    assert isinstance(second, AnnotatedImage)
    assert (second.name, second.case, second.original) == (
        "b", hashed_case("sub"), tmp_path / "images" / "sub" / "b.jpg",
    )  # fmt: skip
    assert found["c.png"] is ErrorCode.BAD_METADATA  # 7 has no name
    assert found["d.png"] is ErrorCode.NOT_FOUND  # no mask is not the same as an empty one
    assert found["lonely.png"] is ErrorCode.NOT_FOUND
    assert find_reader("masks")(ReaderSettings(tmp_path, labels=labels)).class_names == ("liver", "kidney")


def test_masks_with_a_file_a_class(tmp_path: Path) -> None:
    for name in ("a.png", "a_b.png", "c.png"):
        picture(tmp_path / "pictures" / name)
    masks = tmp_path / "masks"
    mask(masks / "a_b_polyp.png", (slice(0, 2), slice(0, 2), 255))  # of a_b, not of a
    mask(masks / "a_polyp.png", (slice(2, 3), slice(1, 10), 1))
    mask(masks / "disc" / "a.png", (slice(0, 1), slice(0, 1), 9), (slice(5, 6), slice(0, 1), 9))
    found = read_all("masks", masks, images=tmp_path / "pictures", components=False)
    assert boxes(found["a_b.png"]) == [("polyp", 0, 0, 2, 2)]
    assert boxes(found["a.png"]) == [("disc", 0, 0, 1, 6), ("polyp", 1, 2, 9, 1)]
    assert boxes(found["c.png"]) == []
    image = found["a.png"]
    assert isinstance(image, AnnotatedImage)
    assert [own.area for own in image.annotations] == [2, 9]


def test_masks_beside_their_images(tmp_path: Path) -> None:
    picture(tmp_path / "benign (1).png")
    mask(tmp_path / "benign (1)_mask.png", (slice(3, 6), slice(4, 10), 255))
    found = read_all("masks", tmp_path, images=tmp_path, labels=LabelMap(binary="tumour"), min_area=18)
    assert {path: boxes(image) for path, image in found.items()} == {
        "benign (1).png": [("tumour", 4, 3, 6, 3)]
    }
    assert boxes(
        read_all("masks", tmp_path, images=tmp_path, labels=LabelMap(binary="tumour"), min_area=19)[
            "benign (1).png"
        ]
    ) == []  # fmt: skip
    assert refusal("masks", tmp_path, images=tmp_path).code is ErrorCode.USAGE


def test_masks_that_cannot_be_paired_are_refused(tmp_path: Path) -> None:
    labels = LabelMap(binary="x")
    assert refusal("masks", tmp_path / "none", labels=labels).code is ErrorCode.NOT_FOUND
    picture(tmp_path / "images" / "a.png", height=5)
    (tmp_path / "masks").mkdir()
    assert refusal("masks", tmp_path, labels=labels).code is ErrorCode.NO_INPUT
    mask(tmp_path / "masks" / "a.png")
    assert refusal("masks", tmp_path).code is ErrorCode.USAGE  # nothing says what the values are
    assert read_all("masks", tmp_path, labels=labels) == {"a.png": ErrorCode.BAD_METADATA}  # another size
    mask(tmp_path / "masks" / "a_mask.png")
    assert refusal("masks", tmp_path, labels=labels).code is ErrorCode.DATASET_INVALID


def test_masks_of_two_images_with_one_stem_or_of_two_pages_are_an_error(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.jpg", "b.png", "c.png"):
        picture(tmp_path / "images" / name)
    mask(tmp_path / "masks" / "polyp" / "a.png", (slice(0, 2), slice(0, 2), 1))
    tifffile.imwrite(tmp_path / "masks" / "polyp" / "c.tif", np.ones((2, HEIGHT, WIDTH), np.uint8))
    found = read_all("masks", tmp_path)
    assert (found["a.jpg"], found["a.png"]) == (ErrorCode.NOT_FOUND, ErrorCode.NOT_FOUND)
    assert (boxes(found["b.jpg"]), boxes(found["b.png"])) == ([], [])  # no mask to be mistaken
    assert found["c.png"] is ErrorCode.UNSUPPORTED_FORMAT
    found = read_all(
        "masks", tmp_path / "masks" / "polyp", images=tmp_path / "images", labels=LabelMap(binary="x")
    )
    assert found["a.jpg"] is found["a.png"] is ErrorCode.NOT_FOUND


# Pascal VOC


def voc(
    path: Path, file: str, *objects: tuple[str, int, int, int, int], size: tuple[int, int] = (WIDTH, HEIGHT)
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in objects
    )
    dimensions = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    path.write_text(
        f"<annotation><filename>{file}</filename>{dimensions}{items}</annotation>", encoding="utf-8"
    )


def test_voc_counts_from_one_and_holds_the_last_pixel(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        picture(tmp_path / "JPEGImages" / name)
    notes = tmp_path / "Annotations"
    voc(notes / "a.xml", "a.jpg", ("RBC", 1, 1, 1, 1), ("WBC", 3, 2, 10, 6))
    voc(notes / "b.xml", "another name.png", size=(0, 0))
    voc(notes / "c.xml", "c.jpg")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text("b\n")
    found = read_all("voc", tmp_path)
    assert list(found) == ["a.xml", "b.xml", "c.xml"]
    assert boxes(found["a.xml"]) == [("RBC", 0, 0, 1, 1), ("WBC", 2, 1, 8, 5)]
    first, second = found["a.xml"], found["b.xml"]
    assert isinstance(first, AnnotatedImage)
    assert isinstance(second, AnnotatedImage)
    assert (first.split, second.split, boxes(second)) == (None, "test", [])
    assert found["c.xml"] is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    "text",
    [
        "<annotation><object></annotation>",
        "<annotations><annotation><filename>a.png</filename></annotation></annotations>",
        "<boxes/>",
        "<annotation><object><name>x</name></object></annotation>",
        "<annotation><object><name>x</name><bndbox><xmin>nan</xmin></bndbox></object></annotation>",
        "<annotation><size><width>4</width><height>4</height></size></annotation>",
        '<!DOCTYPE a [<!ENTITY b "c">]><annotation><filename>&b;</filename></annotation>',
    ],
)
def test_voc_that_is_broken_is_an_input_error(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(text)
    assert read_all("voc", tmp_path) == {"a.xml": ErrorCode.BAD_METADATA}


# YOLO


def yolo(folder: Path, document: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.yaml").write_text(document)
    return folder


def label(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_yolo_boxes_and_polygons(tmp_path: Path) -> None:
    yolo(tmp_path, "path: /of/another/machine\ntrain: images/train\nval: [images/val]\nnames: {0: a, 1: b}\n")
    for name in ("train/x.png", "train/y.png", "val/x.png"):
        picture(tmp_path / "images" / name)
    # A centre of 3 and a width of 4, of 10: from 1 to 5. A centre of 3 and a height of 2, of 6: from 2 to 4.
    label(tmp_path / "labels/train/x.txt", "1 0.3 0.5 0.4 0.333333\n\n1 0.3 0.5 0.4 0.333333\n")
    label(tmp_path / "labels/val/x.txt", "0 0.1 0.0 0.5 0.0 0.1 0.5\n")  # half of 4 x 3
    found = read_all("yolo", tmp_path)
    assert list(found) == ["images/train/x.png", "images/train/y.png", "images/val/x.png"]
    assert boxes(found["images/train/x.png"]) == [("b", 1, 2, 4, 2)]
    assert boxes(found["images/train/y.png"]) == []
    assert boxes(found["images/val/x.png"]) == [("a", 1, 0, 4, 3)]
    image = found["images/val/x.png"]
    assert isinstance(image, AnnotatedImage)
    assert (image.annotations[0].area, image.split) == (6, "val")
    assert image.name.startswith("x-")  # there are two x.png
    assert find_reader("yolo")(ReaderSettings(tmp_path)).class_names == ("a", "b")


def test_yolo_of_exports_and_of_lists(tmp_path: Path) -> None:
    yolo(tmp_path, "train: ../train/images\ntest: test.txt\nnames: [a]\n")
    picture(tmp_path / "train" / "images" / "x.png")
    picture(tmp_path / "else" / "y.png")
    (tmp_path / "test.txt").write_text("else/y.png\n")
    label(tmp_path / "train/labels/x.txt", "0 0.5 0.5 1 1")
    label(tmp_path / "else/y.txt", "0 0.05 0.5 0.1 1")
    found = read_all("yolo", tmp_path / "data.yaml")
    assert {path: boxes(image) for path, image in found.items()} == {
        "train/images/x.png": [("a", 0, 0, 10, 6)],
        "else/y.png": [("a", 0, 0, 1, 6)],
    }


@pytest.mark.parametrize(
    "line", ["2 0.5 0.5 1 1", "0 0.5 0.5 1", "0 0.5 0.5 1 x", "0 nan 0.5 1 1", "-1 0 0 1 1"]
)
def test_yolo_that_is_broken_is_an_input_error(tmp_path: Path, line: str) -> None:
    yolo(tmp_path, "train: images\nnames: [a]\n")
    picture(tmp_path / "images" / "x.png")
    label(tmp_path / "labels" / "x.txt", line)
    assert read_all("yolo", tmp_path) == {"images/x.png": ErrorCode.BAD_METADATA}


@pytest.mark.parametrize("document", ["train: images", "names: [a]\ntrain: none", "[]", "names: [a"])
def test_yolo_without_names_or_images_is_refused(tmp_path: Path, document: str) -> None:
    assert refusal("yolo", yolo(tmp_path, document)).code is ErrorCode.DATASET_INVALID
    assert refusal("yolo", tmp_path / "none").code is ErrorCode.NOT_FOUND


# COCO


def coco(folder: Path, **changes: Any) -> Path:
    document = {
        "categories": [{"id": 7, "name": "b"}, {"id": 3, "name": "a"}],
        "images": [
            {"id": 20, "file_name": "y.png", "height": HEIGHT, "width": WIDTH, "case": "p", "split": "val"},
            {"id": 10, "file_name": "sub/x.png", "height": HEIGHT, "width": WIDTH},
            {"id": 30, "file_name": "../z.png", "height": HEIGHT, "width": WIDTH},
            {"id": 40, "file_name": "w.png", "height": WIDTH, "width": HEIGHT},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 7, "bbox": [0.5, 1.25, 2, 3], "area": 5.5, "iscrowd": 0},
            {"id": 2, "image_id": 10, "category_id": 3, "bbox": [1, 1, 2, 2], "iscrowd": 1},
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.json").write_text(json.dumps(document | changes))
    for name in ("images/y.png", "images/sub/x.png", "z.png", "images/w.png"):
        picture(folder / name)
    return folder


def test_coco_keeps_crowds_areas_and_splits(tmp_path: Path) -> None:
    found = read_all("coco", coco(tmp_path))
    assert list(found) == ["../z.png", "sub/x.png", "w.png", "y.png"]
    first, last = found["sub/x.png"], found["y.png"]
    assert isinstance(first, AnnotatedImage)
    assert isinstance(last, AnnotatedImage)
    assert first.annotations == (
        Annotation("b", (0.5, 1.25, 2, 3), 5.5, crowd=False),
        Annotation("a", (1, 1, 2, 2), None, crowd=True),
    )
    assert (first.case, first.split) == (None, None)
    assert (last.case, last.split) == (local_case("", "p"), "val")
    assert found["../z.png"] is ErrorCode.BAD_METADATA  # leads out of images/
    assert found["w.png"] is ErrorCode.BAD_METADATA  # its record is of a turned image
    assert find_reader("coco")(ReaderSettings(tmp_path / "annotations.json")).class_names == ("b", "a")


@pytest.mark.parametrize(
    "changes",
    [
        {"categories": None},
        {"images": [{"id": 1, "file_name": "x.png"}, {"id": 1, "file_name": "y.png"}], "annotations": []},
        {"images": [{"id": 1, "file_name": "x.png"}, {"id": 2, "file_name": "x.png"}], "annotations": []},
        {"annotations": [{"image_id": 99, "category_id": 7}]},
        {"annotations": [{"image_id": 10, "category_id": 99}]},
    ],
)
def test_coco_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert refusal("coco", coco(tmp_path, **changes)).code is ErrorCode.DATASET_INVALID


@pytest.mark.parametrize("box", [None, [1, 2, 3], [1, 2, 3, "4"], [0, 0, float("inf"), 1]])
def test_coco_with_a_broken_box_is_an_input_error(tmp_path: Path, box: Any) -> None:
    folder = coco(tmp_path, annotations=[{"image_id": 20, "category_id": 7, "bbox": box}])
    assert read_all("coco", folder)["y.png"] is ErrorCode.BAD_METADATA


def test_voc_turn_of_any_number_of_radians(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    turned = "<robndbox><cx>5</cx><cy>3</cy><w>4</w><h>2</h><angle>{}</angle></robndbox>"
    found = []
    for angle in (1e308, math.fmod(1e308, math.tau)):
        item = f"<object><name>b</name>{turned.format(angle)}</object>"
        (tmp_path / "a.xml").write_text(f"<annotation><filename>a.png</filename>{item}</annotation>")
        found.append(boxes(read_all("voc", tmp_path)["a.xml"]))
    assert found[0] == found[1]


def test_coco_box_of_a_huge_whole_number_is_not_that_of_its_segmentation(tmp_path: Path) -> None:
    broken = {"size": [HEIGHT, WIDTH], "counts": "R2<d0lX1"}
    box = {"id": 1, "image_id": 10, "category_id": 7, "bbox": [1, 2, 3, 10**40], "segmentation": broken}
    found = read_all("coco", coco(tmp_path, annotations=[box]))
    assert boxes(found["sub/x.png"]) == [("b", 1.0, 2.0, 3.0, 1e40)]


# All


def test_an_unreadable_image_is_an_input_error(tmp_path: Path) -> None:
    folder = coco(tmp_path)
    (folder / "images" / "y.png").write_bytes((folder / "images" / "y.png").read_bytes()[:40])
    assert read_all("coco", folder)["y.png"] is ErrorCode.TRUNCATED


def test_no_reader_is_unknown() -> None:
    assert {"masks", "voc", "yolo", "coco"} <= {entry.name for entry in READERS}
    with pytest.raises(MedrovError) as caught:
        find_reader("excel")
    assert caught.value.code is ErrorCode.USAGE


# Values that no reader expects


@pytest.mark.parametrize("error", [OverflowError, ZeroDivisionError, KeyError, TypeError, AttributeError])
def test_an_exception_for_a_value_is_an_input_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[Exception]
) -> None:
    def fail(*_: Any) -> Iterator[AnnotatedImage]:
        raise error("secret of the input")
        yield

    units = (Unit("a", fail), Unit("b", lambda: iter(())))
    monkeypatch.setattr("medrov_cli.core.datasets.readers.labelme.READER", lambda _: Reading(units, ("x",)))
    reading = find_reader("labelme")(ReaderSettings(tmp_path))
    assert reading.class_names == ("x",)
    assert not list(reading.units[1].read())
    with pytest.raises(MedrovError) as caught:
        list(reading.units[0].read())
    assert caught.value.code is ErrorCode.BAD_METADATA
    assert "secret" not in str(caught.value)
    assert f"{error.__name__} at test_readers.py" in str(caught.value)
    monkeypatch.setattr("medrov_cli.core.datasets.readers.labelme.READER", fail_listing(error))
    assert refusal("labelme", tmp_path).code is ErrorCode.DATASET_INVALID


def fail_listing(error: type[Exception]) -> Any:
    def read(_: ReaderSettings) -> Reading:
        raise error

    return read


def test_labelme_circle_of_huge_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    shape = {"label": "x", "shape_type": "circle", "points": [[-1e200, 0], [1e200, 0]]}
    document = {"imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": [shape]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert list(read_all("labelme", tmp_path).values()) == [ErrorCode.BAD_METADATA]


def test_label_studio_brush_of_huge_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    value = {"format": "rle", "rle": [0, 10**30], "brushlabels": ["x"]}
    result = {"type": "brushlabels", "original_width": WIDTH, "original_height": HEIGHT, "value": value}
    task = {"data": {"image": "a.png"}, "annotations": [{"result": [result]}]}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    assert list(read_all("label-studio", tmp_path).values()) == [ErrorCode.BAD_METADATA]


@pytest.mark.parametrize("line", [".", "/", "..", "./ 1", ". -1"])
def test_voc_list_with_a_line_that_is_no_name(tmp_path: Path, line: str) -> None:
    picture(tmp_path / "JPEGImages" / "a.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(
        f"<annotation><filename>a.png</filename><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        "</annotation>"
    )
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text(f"{line}\na\n")
    assert set(read_all("voc", tmp_path)) == {"a.xml"}
