"""Rules that hold in every format of ``data convert``: classes, crowds, orientation, and what is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from medrov_cli.core.curation.convert import Converted, convert
from medrov_cli.core.curation.dataset_export import run_export
from medrov_cli.core.datasets.cases import hashed_case
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.data_convert import ConvertSettings, ReaderSettings
from medrov_cli.core.settings.data_export import DataExportSettings

HEIGHT, WIDTH = 40, 60


def picture(path: Path, height: int = HEIGHT, width: int = WIDTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((height, width, 3), 99, np.uint8))[1].tobytes())


def turned_picture(path: Path, orientation: int = 6) -> None:
    """Write 60 x 40 stored pixels that a viewer shows as 40 x 60, with the default orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path, exif=exif)


def run(path: Path, form: str, **options: Any) -> tuple[Converted, dict[str, Any]]:
    output = path.parent / f"out-{form}"
    reader = ReaderSettings(path, **options)
    settings = ConvertSettings(
        format=form, output=output, modality=Modality.MICROSCOPY, licence="CC0", reader=reader
    )
    made = convert(settings)
    file = output / "annotations.json"
    return made, json.loads(file.read_text()) if file.is_file() else {}


def boxes_in(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = {own["id"]: own["name"] for own in document["categories"]}
    return [(names[a["category_id"]], *a["bbox"], a["iscrowd"]) for a in document["annotations"]]


def coco(folder: Path, *annotations: dict[str, Any], categories: Any = ("cell",), **image: Any) -> Path:
    own = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT, **image}
    named = [
        {"id": n, "name": c} if isinstance(c, str) else {"id": n, **c} for n, c in enumerate(categories, 1)
    ]
    made = [{"id": n, "image_id": 1, "category_id": 1, **a} for n, a in enumerate(annotations, 1)]
    folder.mkdir(parents=True, exist_ok=True)
    document = {"images": [own], "annotations": made, "categories": named}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def voc(folder: Path, *objects: str, name: str = "a.png", size: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"<object><name>cell</name>{own}</object>" for own in objects)
    (folder / f"{Path(name).stem}.xml").write_text(
        f"<annotation><filename>{name}</filename>{size}{text}</annotation>"
    )
    return folder


def cvat(
    folder: Path, shapes: str, labels: str = "", size: str = f'width="{WIDTH}" height="{HEIGHT}"'
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annotations.xml").write_text(
        f"<annotations><meta><task><labels>{labels}</labels></task></meta>"
        f'<image id="0" name="a.png" {size}>{shapes}</image></annotations>'
    )
    return folder


def studio(
    folder: Path, *results: dict[str, Any], image: str = "a.png", size_hw: tuple[int, int] = (HEIGHT, WIDTH)
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    size = {"original_height": size_hw[0], "original_width": size_hw[1]}
    task = {"data": {"image": image}, "annotations": [{"result": [{**size, **own} for own in results]}]}
    (folder / "tasks.json").write_text(json.dumps([task]))
    return folder


def corners(x1: float, y1: float, x2: float, y2: float) -> str:
    values = zip(("xmin", "ymin", "xmax", "ymax"), (x1, y1, x2, y2), strict=True)
    return "<bndbox>" + "".join(f"<{key}>{value}</{key}>" for key, value in values) + "</bndbox>"


# Classes


def test_a_supercategory_without_boxes_is_no_class(tmp_path: Path) -> None:
    parts = [{"name": "cells", "supercategory": "none"}, {"name": "cell", "supercategory": "cells"}]
    folder = coco(tmp_path / "in", {"bbox": [4, 5, 10, 12], "category_id": 2}, categories=parts)
    picture(folder / "a.png")
    made, document = run(folder, "coco")
    assert dict(made.classes) == {"cell": 1}
    assert boxes_in(document) == [("cell", 4, 5, 10, 12, 0)]
    assert "cells has no boxes" in " ".join(made.warnings)


def test_a_supercategory_with_boxes_or_its_own_is_a_class(tmp_path: Path) -> None:
    parts = [{"name": "cells", "supercategory": "none"}, {"name": "cell", "supercategory": "cells"}]
    folder = coco(tmp_path / "in", {"bbox": [4, 5, 10, 12], "category_id": 1}, categories=parts)
    picture(folder / "a.png")
    assert dict(run(folder, "coco")[0].classes) == {"cells": 1, "cell": 0}
    other = coco(tmp_path / "other" / "in", categories=[{"name": "cell", "supercategory": "cell"}])
    picture(other / "a.png")
    assert dict(run(other, "coco")[0].classes) == {"cell": 0}


@pytest.mark.parametrize(
    "name", ["background", "_background_", "__ignore__", "Background ", "ignored regions"]
)
def test_the_background_is_no_class_and_its_boxes_are_counted(tmp_path: Path, name: str) -> None:
    box = '<box label="{}" xtl="1" ytl="2" xbr="11" ybr="12"></box>'
    labels = f"<label><name>{name}</name></label><label><name>cell</name></label>"
    folder = cvat(tmp_path / "in", box.format("cell") + box.format(name), labels)
    picture(folder / "a.png")
    made, document = run(folder, "cvat")
    assert dict(made.classes) == {"cell": 1}
    assert boxes_in(document) == [("cell", 1, 2, 10, 10, 0)]
    assert any("a.png" in text and name.strip() in text for text in made.warnings)


def test_tags_and_parts_of_skeletons_are_no_classes(tmp_path: Path) -> None:
    labels = "".join(
        f"<label><name>{name}</name>{more}</label>"
        for name, more in (
            ("cell", "<type>any</type>"),
            ("blurred", "<type>tag</type>"),
            ("tip", "<parent>x</parent>"),
        )
    )
    folder = cvat(tmp_path / "in", '<tag label="blurred"></tag>', labels)
    picture(folder / "a.png")
    assert dict(run(folder, "cvat")[0].classes) == {"cell": 0}


def test_names_that_differ_in_spelling_are_told(tmp_path: Path) -> None:
    folder = coco(tmp_path / "in", categories=["White Cell", "white_cell", "platelet"])
    picture(folder / "a.png")
    (told,) = run(folder, "coco")[0].warnings
    assert "'White Cell', 'white_cell'" in told


@pytest.mark.parametrize("flag", ["difficult", "ignore", "iscrowd"])
def test_an_object_that_scores_leave_out_is_a_crowd(tmp_path: Path, flag: str) -> None:
    folder = voc(
        tmp_path / "in",
        f"<{flag}>1</{flag}>{corners(5, 6, 14, 17)}",
        f"<{flag}>0</{flag}>{corners(1, 1, 2, 2)}",
    )
    picture(folder / "a.png")
    assert boxes_in(run(folder, "voc")[1]) == [("cell", 4, 5, 10, 12, 1), ("cell", 0, 0, 2, 2, 0)]
    shown = f'<attribute name="{flag}">true</attribute>'
    folder = cvat(tmp_path / "2" / "in", f'<box label="cell" xtl="1" ytl="2" xbr="3" ybr="4">{shown}</box>')
    picture(folder / "a.png")
    assert boxes_in(run(folder, "cvat")[1]) == [("cell", 1, 2, 2, 2, 1)]


# Shapes


def labelled(kind: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, "value": {**value, kind: ["c"]}}


@pytest.mark.parametrize(
    ("shape", "box", "area"),
    [
        ('<polygon label="c" points="10,8;30,8;30,34;10,34"></polygon>', (10, 8, 20, 26), 520),
        ('<ellipse label="c" cx="30" cy="20" rx="8" ry="5"></ellipse>', (22, 15, 16, 10), np.pi * 40),
        (
            '<ellipse label="c" cx="30" cy="20" rx="8" ry="5" rotation="90"></ellipse>',
            (25, 12, 10, 16),
            np.pi * 40,
        ),
        (
            '<mask label="c" rle="0, 6, 2, 4, 4, 2" left="12" top="9" width="6" height="3"></mask>',
            (12, 9, 6, 3),
            12,
        ),
        (  # 10 x 10, of which two pixels of row 5 and two of row 6 are drawn
            '<mask label="c" rle="55, 2, 8, 2, 33" left="10" top="10" width="10" height="10"></mask>',
            (15, 15, 2, 2),
            4,
        ),
        ('<box label="c" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90"></box>', (15, 5, 10, 20), 200),
    ],
)
def test_shapes_of_cvat(tmp_path: Path, shape: str, box: tuple[float, ...], area: float) -> None:
    folder = cvat(tmp_path / "in", shape)
    picture(folder / "a.png")
    _, document = run(folder, "cvat")
    assert boxes_in(document) == [("c", *box, 0)]
    assert document["annotations"][0]["area"] == pytest.approx(area, abs=1e-3)


@pytest.mark.parametrize(
    ("results", "box"),
    [
        (
            [
                {
                    "type": "polygonlabels",
                    "value": {"points": [[10, 20], [50, 20], [50, 85]], "polygonlabels": ["c"]},
                }
            ],
            (6, 8, 24, 26),
        ),
        (
            [
                {
                    "type": "ellipselabels",
                    "value": {
                        "x": 50,
                        "y": 50,
                        "radiusX": 10,
                        "radiusY": 5,
                        "rotation": 90,
                        "ellipselabels": ["c"],
                    },
                }
            ],
            (28, 14, 4, 12),
        ),
        (
            [
                {
                    "id": "r",
                    "type": "rectangle",
                    "value": {"x": 10, "y": 10, "width": 20, "height": 25, "rotation": 0},
                },
                {"id": "r", "type": "labels", "value": {"labels": ["c"]}},
                {"id": "r", "type": "choices", "value": {"choices": ["sharp"]}},
            ],
            (6, 4, 12, 10),
        ),
    ],
)
def test_shapes_of_label_studio(
    tmp_path: Path, results: list[dict[str, Any]], box: tuple[float, ...]
) -> None:
    folder = studio(tmp_path / "in", *results)
    picture(folder / "a.png")
    assert boxes_in(run(folder, "label-studio")[1]) == [("c", *box, 0)]


def brush(mask: np.ndarray[Any, Any]) -> list[int]:
    """Return a mask as Label Studio writes it: RGBA, each run of one value with its length in 8 bits."""
    values = np.repeat(mask.ravel(), 4) * 255
    bits = f"{len(values):032b}{7:05b}" + f"{7:04b}" * 4
    at = 0
    while at < len(values):
        end = at
        while end < len(values) and end - at < 256 and values[end] == values[at]:
            end += 1
        bits += f"100{end - at - 1:08b}{int(values[at]):08b}" if end - at > 3 else (
            f"000{end - at - 1:08b}" + "".join(f"{int(own):08b}" for own in values[at:end])
        )  # fmt: skip
        at = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


def test_a_brush_region_has_the_box_of_its_pixels(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.int64)
    mask[7:19, 11:31] = 1
    mask[20, 40] = 1
    value = {"format": "rle", "rle": brush(mask), "brushlabels": ["c"]}
    folder = studio(tmp_path / "in", {"type": "brushlabels", "value": value})
    picture(folder / "a.png")
    _, document = run(folder, "label-studio")
    assert boxes_in(document) == [("c", 11, 7, 30, 14, 0)]
    assert document["annotations"][0]["area"] == 12 * 20 + 1
    studio(folder, {"type": "brushlabels", "value": {**value, "rle": value["rle"][:20]}})
    (tmp_path / "2").mkdir()
    assert len(run(folder.rename(tmp_path / "2" / "in"), "label-studio")[0].failures) == 1


# EXIF orientation: 5, 10, 12 x 20 of the shown 40 x 60 pixels are 10, 23, 20 x 12 of the stored 60 x 40.


def _coco(folder: Path) -> Path:
    return coco(folder, {"bbox": [5, 10, 12, 20]}, file_name="a.jpg", width=40, height=60)


def _voc(folder: Path) -> Path:
    size = "<size><width>40</width><height>60</height></size>"
    return voc(folder, corners(6, 11, 17, 30), name="a.jpg", size=size)


def _voc_without_size(folder: Path) -> Path:
    return voc(folder, corners(6, 11, 17, 30), name="a.jpg")


def _cvat(folder: Path) -> Path:
    box = '<box label="cell" xtl="5" ytl="10" xbr="17" ybr="30"></box>'
    made = cvat(folder, box, size='width="40" height="60"')
    (made / "annotations.xml").write_text((made / "annotations.xml").read_text().replace("a.png", "a.jpg"))
    return made


def _studio(folder: Path) -> Path:
    value = {"x": 12.5, "y": 100 / 6, "width": 30, "height": 100 / 3, "rectanglelabels": ["cell"]}
    return studio(folder, {"type": "rectanglelabels", "value": value}, image="a.jpg", size_hw=(60, 40))


@pytest.mark.parametrize(
    ("form", "make"),
    [("coco", _coco), ("voc", _voc), ("voc", _voc_without_size), ("cvat", _cvat), ("label-studio", _studio)],
)
def test_boxes_of_the_shown_image_are_turned(tmp_path: Path, form: str, make: Callable[[Path], Path]) -> None:
    folder = make(tmp_path / "in")
    turned_picture(folder / "a.jpg")
    made, document = run(folder, form)
    (box,) = boxes_in(document)
    np.testing.assert_allclose(box[1:5], (10, 23, 20, 12), atol=1e-3)
    assert (document["images"][0]["width"], document["images"][0]["height"]) == (60, 40)
    assert "EXIF" in " ".join(made.warnings)


def test_a_mask_of_the_shown_image_is_turned(tmp_path: Path) -> None:
    turned_picture(tmp_path / "in" / "images" / "a.jpg")
    mask = np.zeros((60, 40), np.uint8)
    mask[10:30, 5:17] = 1
    (tmp_path / "in" / "masks" / "cell").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "in" / "masks" / "cell" / "a.png"), mask)
    assert boxes_in(run(tmp_path / "in", "masks")[1]) == [("cell", 10, 23, 20, 12, 0)]


# Forms


def test_coco_fractions_and_corners(tmp_path: Path) -> None:
    folder = coco(tmp_path / "1" / "in", {"bbox": [0.1, 0.25, 0.2, 0.5]}, {"bbox": [0, 0, 1, 1]})
    picture(folder / "a.png")
    made, document = run(folder, "coco")
    assert boxes_in(document) == [("cell", 6, 10, 12, 20, 0), ("cell", 0, 0, 60, 40, 0)]
    assert "fractions" in " ".join(made.warnings)
    folder = coco(tmp_path / "2" / "in", {"bbox": [30, 20, 50, 40], "area": 400})
    picture(folder / "a.png")
    made, document = run(folder, "coco")
    assert boxes_in(document) == [("cell", 30, 20, 20, 20, 0)]
    assert "corners" in " ".join(made.warnings)


def test_voc_fractions_and_exchanged_corners(tmp_path: Path) -> None:
    folder = voc(tmp_path / "in", corners(0.1, 0.25, 0.3, 0.75))
    picture(folder / "a.png")
    voc(folder, corners(30, 20, 10, 12), name="b.png")
    picture(folder / "b.png")
    made, document = run(folder, "voc")
    np.testing.assert_allclose(boxes_in(document)[0][1:5], (6, 10, 12, 20))
    assert [own.path for own in made.failures] == ["b.xml"]


@pytest.mark.parametrize(
    ("more", "left"), [((0.5, 0.5, 1.0001, 0.9), [30, 20, 30, 16]), ((0.5, 0.5, 0.5, 0.9), None)]
)
def test_voc_fractions_with_an_empty_or_rounded_box(tmp_path: Path, more: Any, left: Any) -> None:
    folder = voc(tmp_path / "in", corners(0.1, 0.25, 0.3, 0.75), corners(*more))
    picture(folder / "a.png")
    made, document = run(folder, "voc")
    expected = [[6, 10, 12, 20], *([] if left is None else [left])]
    np.testing.assert_allclose([box[1:5] for box in boxes_in(document)], expected)
    assert made.dropped == (left is None)


def test_voc_fractions_with_exchanged_corners_are_an_error(tmp_path: Path) -> None:
    folder = voc(tmp_path / "in", corners(0.1, 0.25, 0.3, 0.75), corners(0.6, 0.3, 0.2, 0.7))
    picture(folder / "a.png")
    assert [own.error.code.value for own in run(folder, "voc")[0].failures] == ["bad_metadata"]


def test_voc_with_a_namespace_and_capitals_is_read(tmp_path: Path) -> None:
    folder = voc(tmp_path / "in", corners(3, 2, 10, 6))
    picture(folder / "a.png")
    text = (folder / "a.xml").read_text().replace("<annotation>", '<annotation xmlns="http://x">')
    (folder / "a.xml").write_text(text.replace("object>", "Object>"))
    assert boxes_in(run(folder, "voc")[1]) == [("cell", 2, 1, 8, 5, 0)]


# What is left out


def test_images_without_a_record_are_named(tmp_path: Path) -> None:
    for form, make in (
        ("coco", coco),
        ("voc", voc),
        ("cvat", lambda f: cvat(f, "")),
        ("label-studio", studio),
    ):
        folder = make(tmp_path / form)
        picture(folder / "a.png")
        picture(folder / "b.png")
        (told,) = run(folder, form)[0].warnings
        assert "left out" in told
        assert told.endswith("b.png")


def test_a_box_without_an_area_is_named(tmp_path: Path) -> None:
    folder = coco(tmp_path / "in", {"bbox": [4, 5, 0, 12]}, {"bbox": [70, 5, 3, 3]}, {"bbox": [1, 1, 5, 5]})
    picture(folder / "a.png")
    made, _ = run(folder, "coco")
    assert (made.dropped, made.clipped) == (2, 0)
    assert any("removed" in text and "a.png" in text for text in made.warnings)


def test_lists_of_voc_name_files_with_blanks_and_marks(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("scan one.png", "b.png", "c.png"):
        voc(folder / "Annotations", name=name)
        picture(folder / "JPEGImages" / name)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    lists = folder / "ImageSets" / "Main"
    lists.joinpath("val.txt").write_bytes(b"\xef\xbb\xbfscan one\r\nb  1\r\n")
    lists.joinpath("test.txt").write_text("c.png\nd\n")
    made, document = run(folder, "voc")
    assert {own["file_name"]: own["split"] for own in document["images"]} == {
        "scan_one.png": "val", "b.png": "val", "c.png": "test",
    }  # fmt: skip
    (told,) = made.warnings
    assert told.endswith(": d")


# Splits


def two_coco_files(folder: Path) -> Path:
    """Write a record of a.png in the files of train (box at 1) and of val (box at 2)."""
    (folder / "annotations").mkdir(parents=True)
    for left, split in ((1, "train"), (2, "val")):
        file = coco(folder, {"bbox": [left, 5, 10, 12]}) / "annotations.json"
        file.rename(folder / "annotations" / f"instances_{split}.json")
    return folder


def test_coco_image_in_files_of_two_splits_is_read_once_for_val(tmp_path: Path) -> None:
    folder = two_coco_files(tmp_path / "in")
    picture(folder / "images" / "a.png")
    made, document = run(folder, "coco")
    assert [(own["file_name"], own["split"]) for own in document["images"]] == [("a.png", "val")]
    assert boxes_in(document) == [("cell", 2, 5, 10, 12, 0)]
    (told,) = made.warnings
    assert told.startswith("1 image(s) are in several splits")
    assert "instances_train/a.png" in told


def test_coco_lost_image_of_val_is_not_that_of_train(tmp_path: Path) -> None:
    folder = two_coco_files(tmp_path / "in")
    picture(folder / "images" / "train" / "a.png")
    picture(folder / "images" / "val" / "b.png")
    made, document = run(folder, "coco")
    assert [own["split"] for own in document["images"]] == ["train"]
    assert boxes_in(document) == [("cell", 1, 5, 10, 12, 0)]
    assert [own.path for own in made.failures] == ["annotations/instances_val/a.png"]
    (told,) = made.warnings
    assert told.endswith("not in the COCO files and were left out: val/b.png")


def test_coco_two_records_of_one_split_for_an_image_are_an_error(tmp_path: Path) -> None:
    folder = two_coco_files(tmp_path / "in")
    picture(folder / "images" / "a.png")
    file = folder / "annotations" / "instances_train.json"
    file.rename(file.with_name("instances_val_b.json"))
    made, _ = run(folder, "coco")
    assert (made.images, len(made.failures)) == (0, 2)


def yolo(folder: Path, document: str, *images: str) -> Path:
    folder.mkdir()
    (folder / "data.yaml").write_text(f"{document}\nnames: [cell]\n")
    for image in images:
        picture(folder / "images" / image)
    return folder


def test_yolo_image_in_two_splits_is_of_the_stronger_one(tmp_path: Path) -> None:
    folder = yolo(tmp_path / "in", "train: train.txt\ntest: ../in/images/x", "a.png", "x/b.png")
    (folder / "train.txt").write_text("images/a.png\nimages/x/b.png\n")
    made, document = run(folder, "yolo")
    assert {own["file_name"]: own["split"] for own in document["images"]} == {
        "a.png": "train",
        "b.png": "test",
    }
    assert any(text.endswith("else val: images/x/b.png") for text in made.warnings)


def test_voc_image_in_two_lists_is_of_the_stronger_split(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    voc(folder / "Annotations")
    picture(folder / "JPEGImages" / "a.png")
    (folder / "ImageSets").mkdir()
    for split in ("train", "test"):
        (folder / "ImageSets" / f"{split}.txt").write_text("a\n")
    made, document = run(folder, "voc")
    assert [own["split"] for own in document["images"]] == ["test"]
    assert any(text.endswith("else val: a.xml") for text in made.warnings)


def test_folders_named_as_splits_state_them(tmp_path: Path) -> None:
    names = {"train": "train", "valid": "val", "test": "test"}
    for number, split in enumerate(names):
        voc(tmp_path / "voc" / split, name=f"{number}.png")
        for place in ("voc", "yolo/images", "masks/images"):
            picture(tmp_path / place / split / f"{number}.png")
        (tmp_path / "masks" / "masks" / "cell" / split).mkdir(parents=True)
        mask = Image.fromarray(np.eye(HEIGHT, WIDTH, dtype=np.uint8))
        mask.save(tmp_path / "masks" / "masks" / "cell" / split / f"{number}.png")
    (tmp_path / "yolo" / "classes.txt").write_text("cell\n")
    for form in ("voc", "yolo", "masks"):
        _, document = run(tmp_path / form, form)
        found = {own["file_name"]: own["split"] for own in document["images"]}
        assert found == {f"{number}.png": split for number, split in enumerate(names.values())}


# Layouts of COCO


def test_roboflow(tmp_path: Path) -> None:
    for split, left in (("train", 1), ("valid", 2), ("test", 3)):
        folder = coco(tmp_path / "in" / split, {"bbox": [left, 5, 10, 12]})
        (folder / "annotations.json").rename(folder / "_annotations.coco.json")
        picture(folder / "a.png")
    _, document = run(tmp_path / "in", "coco")
    assert [own["split"] for own in document["images"]] == ["test", "train", "val"]
    assert [box[1] for box in boxes_in(document)] == [3, 1, 2]
    _, document = run(tmp_path / "in" / "valid" / "_annotations.coco.json", "coco")
    assert [own["split"] for own in document["images"]] == ["val"]


@pytest.mark.parametrize(
    ("file", "image", "split"),
    [
        ("labels.json", "data/a.png", "train"),
        ("annotations/instances_val2017.json", "val2017/a.png", "val"),
        ("annotations/instances_default.json", "images/default/a.png", "train"),
        ("annotations/instances_default.json", "images/a.png", "train"),
        ("export.json", "pictures/a.png", "train"),
    ],
)
def test_other_layouts(tmp_path: Path, file: str, image: str, split: str) -> None:
    folder = coco(tmp_path / "in", {"bbox": [4, 5, 10, 12]})
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / "annotations.json").rename(folder / file)
    picture(folder / image)
    for path in (folder, folder / file):
        _, document = run(path, "coco")
        assert boxes_in(document) == [("cell", 4, 5, 10, 12, 0)]
        assert [own["split"] for own in document["images"]] == [split]


@pytest.mark.parametrize("form", ["yolo", "voc", "label-studio", "cvat", "coco"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_image_goes_out_and_comes_back(tmp_path: Path, form: str, orientation: int) -> None:
    folder = coco(tmp_path / "in", {"bbox": [10, 23, 20, 12]}, file_name="a.jpg")
    document = json.loads((folder / "annotations.json").read_text())
    document["images"][0]["split"] = "train"
    (folder / "annotations.json").write_text(json.dumps({**document, "info": {"modality": "microscopy"}}))
    turned_picture(folder / "images" / "a.jpg", orientation)
    (tmp_path / "data.yaml").write_text("sources: [in]\n")
    run_export(DataExportSettings(dataset=tmp_path / "data.yaml", to=form, output=tmp_path / "x" / "there"))
    _, document = run(tmp_path / "x" / "there", form)
    np.testing.assert_allclose(boxes_in(document)[0][1:5], (10, 23, 20, 12), atol=1e-3)
    assert (document["images"][0]["width"], document["images"][0]["height"]) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("form", ["yolo", "coco"])
@pytest.mark.parametrize("names", ["p{}_0.png", "p{}/0.png"])
def test_the_case_is_found_below_the_folder_of_images(tmp_path: Path, form: str, names: str) -> None:
    folder = tmp_path / "in"
    paths = [f"images/train/{names.format(number)}" for number in (1, 2)] + ["images/train/other.png"]
    for path in paths:
        picture(folder / path)
    (folder / "data.yaml").write_text("names: [polyp]\ntrain: images/train\n")
    images = [
        {"id": n, "file_name": str(folder / path), "width": WIDTH, "height": HEIGHT}
        for n, path in enumerate(paths)
    ]
    document = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "polyp"}]}
    (folder / "annotations.json").write_text(json.dumps(document))
    made, document = run(folder, form, case=re.compile(r"^(p\d)[_/]"))
    assert [own.get("case") for own in document["images"]] == [None, hashed_case("p1"), hashed_case("p2")]
    (warning,) = (text for text in made.warnings if "--case" in text)
    assert warning.startswith("--case matches 2 of 3 image(s)")
    assert warning.endswith("images/train/other.png")
