"""LabelMe files: shapes, groups, images beside and inside."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings

HEIGHT, WIDTH = 48, 64


def picture(path: Path) -> bytes:
    data = cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), 99, np.uint8))[1].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


def shape(label: str, kind: str | None, *points: tuple[float, float], **more: Any) -> dict[str, Any]:
    own = {"label": label, "points": [list(point) for point in points], "group_id": None, **more}
    return own if kind is None else {**own, "shape_type": kind}


def save(path: Path, *shapes: Any, image: str = "a.png", **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    path.write_text(json.dumps({**document, **more}))


def read(path: Path, **options: Any) -> Reading:
    return find_reader("labelme")(ReaderSettings(path, **options))


def image_of(path: Path, **options: Any) -> AnnotatedImage:
    (unit,) = read(path, **options).units
    (image,) = unit.read()
    return image


def boxes(image: AnnotatedImage) -> list[tuple[Any, ...]]:
    return [(own.class_name, *own.box_xywh) for own in image.annotations]


@pytest.mark.parametrize(
    ("own", "box"),
    [
        (shape("c", "rectangle", (30, 28), (10, 8)), (10, 8, 20, 20)),
        (shape("c", "rectangle", (10, 8), (30, 8), (30, 28), (10, 28)), (10, 8, 20, 20)),
        (shape("c", "polygon", (10, 8), (30, 8), (20, 34)), (10, 8, 20, 26)),
        (shape("c", None, (10, 8), (30, 8), (20, 34)), (10, 8, 20, 26)),
        (shape("c", "rotation", (20, 8), (30, 18), (20, 28), (10, 18)), (10, 8, 20, 20)),
        (shape("c", "circle", (30, 20), (36, 28)), (20, 10, 20, 20)),  # a radius of 10
        (shape("c", "mask", (3, 4), (7, 9)), (3, 4, 5, 6)),
        (shape("c", "oriented_rectangle", (20, 8), (30, 18), (20, 28), (10, 18)), (10, 8, 20, 20)),
    ],
)
def test_a_shape_becomes_the_box_around_it(
    tmp_path: Path, own: dict[str, Any], box: tuple[float, ...]
) -> None:
    picture(tmp_path / "a.png")
    save(tmp_path / "a.json", own)
    assert boxes(image_of(tmp_path)) == [("c", *box)]


@pytest.mark.parametrize(
    "own",
    [
        shape("c", "point", (1, 1)),
        shape("c", "linestrip", (1, 1), (2, 2), (9, 9)),
        shape("c", "polygon", (1, 1), (2, 2)),
        shape("c", "circle", (1, 1)),
        shape("c", "rectangle", (1, float("nan")), (2, 2)),
        shape("c", "mask", (3, 4), (7, 9), mask="x"),
        shape("", "rectangle", (1, 1), (2, 2)),
        "text",
    ],
)
def test_a_shape_without_an_area_fails_by_name(tmp_path: Path, own: Any) -> None:
    picture(tmp_path / "a.png")
    save(tmp_path / "a.json", own)
    with pytest.raises(MedrovError) as caught:
        image_of(tmp_path)
    assert caught.value.code is ErrorCode.BAD_METADATA


def test_the_area_of_a_mask_is_its_number_of_pixels_and_0_is_a_label(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    pixels = np.zeros((6, 5), np.uint8)
    pixels[1:3, 2:5] = pixels[4, 2] = 255
    encoded = base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
    save(tmp_path / "a.json", {**shape("", "mask", (3, 4), (7, 9), mask=encoded), "label": 0})
    (own,) = image_of(tmp_path).annotations
    assert (own.class_name, own.box_xywh, own.area) == ("0", (5, 5, 3, 4), 7)


def test_a_group_is_one_object_and_a_flag_a_crowd(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    save(
        tmp_path / "a.json",
        shape("c", "rectangle", (10, 8), (20, 18), group_id=1),
        shape("d", "rectangle", (0, 0), (2, 2), group_id=1),
        shape("c", "rectangle", (30, 8), (40, 28), group_id=1),
        shape("c", "rectangle", (50, 8), (60, 18), flags={"difficult": True}),
        shape("c", "rectangle", (50, 20), (60, 30), flags={"blurred": True}, difficult=False),
    )
    image = image_of(tmp_path)
    assert boxes(image) == [
        ("c", 10, 8, 30, 20),
        ("d", 0, 0, 2, 2),
        ("c", 50, 8, 10, 10),
        ("c", 50, 20, 10, 10),
    ]
    assert [own.crowd for own in image.annotations] == [False, False, True, False]
    assert image.annotations[0].area == 100 + 200


@pytest.mark.parametrize("address", ["..\\images\\a.png", "C:\\x\\A.PNG", "other.png", ""])
def test_the_image_is_found_by_its_path_or_by_the_stem(tmp_path: Path, address: str) -> None:
    picture(tmp_path / "images" / "a.png")
    save(tmp_path / "labels" / "a.json", image=address)
    assert boxes(image_of(tmp_path)) == []
    assert boxes(image_of(tmp_path / "labels" / "a.json", images=tmp_path / "images")) == []


def test_an_image_inside_of_its_file(tmp_path: Path) -> None:
    data = picture(tmp_path / "scratch.png")
    (tmp_path / "scratch.png").unlink()
    save(tmp_path / "in" / "a.json", imageData=base64.b64encode(data).decode())
    image = image_of(tmp_path / "in")
    assert (image.height, image.width, image.name) == (HEIGHT, WIDTH, "a")
    assert (image.read() == 99).all()
    save(tmp_path / "in" / "a.json", imageData="nonsense!")
    with pytest.raises(MedrovError):
        image_of(tmp_path / "in")


def test_other_files_and_images_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    save(tmp_path / "a.json")
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ncell\n")
    reading = read(tmp_path)
    assert [unit.path for unit in reading.units] == ["a.json", "broken.json"]
    assert reading.class_names == ("__ignore__", "_background_", "cell")
    first, second = reading.warnings
    assert "without a LabelMe file" in first
    assert first.endswith("b.png")
    assert second.endswith("other.json")
    with pytest.raises(MedrovError):
        read(tmp_path / "nowhere.json").units[0].read()


def test_shapes_are_of_the_turned_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # half a turn: the size does not tell
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    save(tmp_path / "a.json", shape("c", "rectangle", (10, 8), (30, 18)), image="a.jpg")
    assert boxes(image_of(tmp_path)) == [("c", 34, 30, 20, 10)]
