"""What annotation tools give back after people have worked in them: Label Studio's JSON, CVAT's XML."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import hashed_case, local_case
from medrov_cli.core.datasets.image_names import address_readings, leaves_folder
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.shared.shape_boxes import enclosing_box
from medrov_cli.core.datasets.xml_files import read_xml
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings

WIDTH, HEIGHT = 200, 100


def image_file(path: Path, size_hw: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*size_hw, 3), dtype=np.uint8))


def region(label: str | list[str], x: float, y: float, w: float, h: float, **more: Any) -> dict[str, Any]:
    """Return a result as Label Studio writes it, in percents."""
    labels = [label] if isinstance(label, str) else label
    value = {"x": x, "y": y, "width": w, "height": h, "rotation": 0, "rectanglelabels": labels}
    value |= more.pop("value", {})
    base = {"id": "Dx_aB91ISN", "type": "rectanglelabels", "from_name": "label", "to_name": "image"}
    return base | {"original_width": WIDTH, "original_height": HEIGHT, "value": value} | more


def task(image: str, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"image": image, **data}, "annotations": list(annotations), "predictions": []}


def read_tasks(folder: Path, *tasks: dict[str, Any], **options: Any) -> list[AnnotatedImage]:
    (folder / "export.json").write_text(json.dumps(tasks))
    reading = find_reader("label-studio")(ReaderSettings(folder / "export.json", **options))
    return [image for unit in reading.units for image in unit.read()]


def boxes_of(image: AnnotatedImage) -> list[tuple[Any, ...]]:
    return [(a.class_name, *a.box_xywh) for a in image.annotations]


def fails(code: ErrorCode, match: str | None = None) -> Any:
    return pytest.raises(MedrovError, match=match, check=lambda error: error.code is code)


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=project/images/a%20b.png",
        "/data/local-files/?d=images/a+b.png",
        "https://example.org/bucket/a%20b.png?token=1",
        "s3://bucket/images/a%20b.png",
        "/data/upload/3/0f12ab9c-a%20b.png",
        "a b.png",
    ],
)
def test_an_address_leads_to_the_file(tmp_path: Path, address: str) -> None:
    image_file(tmp_path / "images" / "a b.png")
    # 10 % of 200 and 20 % of 100 pixels; 5 % and 50 %.
    (image,) = read_tasks(tmp_path, task(address, {"result": [region("cyst", 10, 20, 5, 50)]}))
    assert boxes_of(image) == [("cyst", 20, 20, 10, 50)]
    assert (image.case, image.split) == (None, None)


def test_no_address_leads_out_of_the_folder(tmp_path: Path) -> None:
    image_file(tmp_path / "secret.png")
    image_file(tmp_path / "in" / "images" / "a.png")
    for address in ("../secret.png", "/data/local-files/?d=../secret.png", "images/%2e%2e/../secret.png"):
        assert all(leaves_folder(path) or ".." not in path.split("/") for path in address_readings(address))
        with pytest.raises(MedrovError) as caught:
            read_tasks(tmp_path / "in", task(address, {"result": []}))
        assert caught.value.code in (ErrorCode.BAD_METADATA, ErrorCode.NOT_FOUND)


def test_the_annotation_that_counts(tmp_path: Path) -> None:
    image_file(tmp_path / "a.png")

    def by(label: str, **more: Any) -> dict[str, Any]:
        return {"result": [region(label, 0, 0, 50, 50)], **more}

    old, new = by("old", updated_at="2024-01-01"), by("new", updated_at="2024-05-01")
    skipped = by("skipped", updated_at="2025-01-01", was_cancelled=True)
    truth = by("truth", updated_at="2023-01-01", ground_truth=True)
    for made, expected in (
        ((new, old, skipped), "new"),
        ((new, truth, old), "truth"),
        ((by("first"), by("second")), "second"),
    ):
        (image,) = read_tasks(tmp_path, task("a.png", *made))
        assert boxes_of(image) == [(expected, 0, 0, 100, 50)]


def test_an_empty_annotation_is_a_negative_image_and_none_is_no_image(tmp_path: Path) -> None:
    image_file(tmp_path / "a.png")
    (image,) = read_tasks(tmp_path, task("a.png", {"result": []}))
    assert image.annotations == ()
    for made in ([], [{"result": [], "was_cancelled": True}]):
        with fails(ErrorCode.BAD_METADATA, "has no annotation"):
            read_tasks(tmp_path, task("a.png", *made))


def test_a_turned_rectangle_becomes_the_box_around_it(tmp_path: Path) -> None:
    image_file(tmp_path / "a.png")
    # 20 x 10 pixels at (100, 50), a quarter turn clockwise about that corner: 10 wide to the left, 20 high.
    turned = region("x", 50, 50, 10, 10, value={"rotation": 90})
    (image,) = read_tasks(tmp_path, task("a.png", {"result": [turned]}))
    assert boxes_of(image) == [("x", 90, 50, 10, 20)]


def test_two_labels_of_a_rectangle_are_two_boxes_and_other_results_are_no_boxes(tmp_path: Path) -> None:
    image_file(tmp_path / "a.png")
    choice = {"type": "choices", "from_name": "quality", "to_name": "image", "value": {"choices": ["good"]}}
    (image,) = read_tasks(tmp_path, task("a.png", {"result": [choice, region(["x", "y"], 0, 0, 1, 1)]}))
    assert boxes_of(image) == [("x", 0, 0, 2, 1), ("y", 0, 0, 2, 1)]


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (region("x", 0, 0, 1, 1, type="keypointlabels"), "keypointlabels"),
        (region("x", 0, 0, 1, 1, image_rotation=90), "rotated"),
        (region([], 0, 0, 1, 1), "without a label"),
        (region("x", 0, 0, 1, 1, value={"width": "1"}), "number in width"),
        (region("x", 0, 0, 1, 1, original_width=400), "200 x 100"),
        ("nonsense", "type None"),
    ],
)
def test_regions_that_cannot_be_taken_as_they_are_meant(tmp_path: Path, result: Any, what: str) -> None:
    image_file(tmp_path / "a.png")
    with fails(ErrorCode.BAD_METADATA, what):
        read_tasks(tmp_path, task("a.png", {"result": [result]}))


@pytest.mark.parametrize(
    "text", ["{", "{}", "[1]", '[{"data": {"text": "x"}}]', '[{"image": "a", "label": []}]']
)
def test_files_that_are_no_tasks(tmp_path: Path, text: str) -> None:
    (tmp_path / "tasks.json").write_text(text)
    with fails(ErrorCode.DATASET_INVALID):
        find_reader("label-studio")(ReaderSettings(tmp_path))


def test_an_address_may_have_another_key_than_image(tmp_path: Path) -> None:
    image_file(tmp_path / "a b.png")
    own = {"result": [region("cyst", 10, 20, 25, 50)]}
    data = {"img": "/data/local-files/?d=set/a%20b.png", "note": "x"}
    (image,) = read_tasks(tmp_path, {"data": data, "annotations": [own]})
    assert boxes_of(image) == [("cyst", 20, 20, 50, 50)]
    with fails(ErrorCode.DATASET_INVALID):  # which of two?
        read_tasks(tmp_path, {"data": {**data, "mask": "b.png"}, "annotations": [own]})


def test_cases_of_tasks(tmp_path: Path) -> None:
    image_file(tmp_path / "images" / "p12_1.png")
    tasks = task("images/p12_1.png", {"result": []}, case="patient", split="test")
    (image,) = read_tasks(tmp_path, tasks)
    assert (image.case, image.split, image.name) == (local_case("", "patient"), "test", "p12_1")
    (image,) = read_tasks(tmp_path, tasks, case=re.compile("^(p[0-9]+)_"))
    assert image.case == hashed_case("p12")


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><project><labels><label><name>polyp</name></label><label><name>cyst &amp; "x"</name></label></labels>
</project></meta>
<image id="0" name="a.png" subset="Train" task_id="3" width="200" height="100">
  <tag label="blurred" source="manual"></tag>
  <box label="polyp" source="manual" occluded="0" xtl="10.50" ytl="20.25" xbr="30.50" ybr="60.25" z_order="0">
    <attribute name="crowd">{crowd}</attribute></box>
  <box label="cyst &amp; &quot;x&quot;" source="auto" occluded="1" xtl="40" ytl="40" xbr="60" ybr="50"
    rotation="90.0" z_order="1"></box>
  {shape}
</image>
<image id="1" name="a.png" subset="Validation" task_id="4" width="200" height="100"></image>
</annotations>
"""


def read_cvat(folder: Path, text: str, **options: Any) -> list[AnnotatedImage]:
    (folder / "annotations.xml").write_text(text, encoding="utf-8")
    reading = find_reader("cvat")(ReaderSettings(folder, **options))
    return [image for unit in reading.units for image in unit.read()]


def test_an_export_of_a_cvat_project(tmp_path: Path) -> None:
    for subset in ("Train", "Validation"):
        image_file(tmp_path / "images" / subset / "a.png")
    first, second = read_cvat(tmp_path, CVAT.format(crowd="false", shape=""))
    # The second box is 20 x 10 about (50, 45): a quarter turn makes it 10 x 20 about the same point.
    assert boxes_of(first) == [("polyp", 10.5, 20.25, 20, 40), ('cyst & "x"', 45, 35, 10, 20)]
    assert [a.crowd for a in first.annotations] == [False, False]
    assert (first.split, second.split, second.annotations) == ("train", "val", ())
    assert first.name != second.name
    reading = find_reader("cvat")(ReaderSettings(tmp_path / "annotations.xml"))
    assert reading.class_names == ("polyp", 'cyst & "x"')


def subsets(folder: Path, size_hw: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    for subset in ("Train", "Validation"):
        image_file(folder / "images" / subset / "a.png", size_hw)


def test_a_frame_of_a_video_in_cvat_is_found_by_its_stem(tmp_path: Path) -> None:
    image_file(tmp_path / "images" / "frame_000000.PNG")
    shape = '<box label="polyp" xtl="1" ytl="2" xbr="4" ybr="8"></box>'
    frame = f'<image id="0" name="frame_000000" width="{WIDTH}" height="{HEIGHT}">{shape}</image>'
    (image,) = read_cvat(tmp_path, f"<annotations>{frame}</annotations>")
    assert (image.name, boxes_of(image)) == ("frame_000000", [("polyp", 1, 2, 3, 6)])


def test_a_crowd_of_cvat(tmp_path: Path) -> None:
    subsets(tmp_path)
    first, _ = read_cvat(tmp_path, CVAT.format(crowd="true", shape=""))
    assert [a.crowd for a in first.annotations] == [True, False]


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        ('<polygon label="x" points="1,1;2,2"></polygon>', "polygon"),
        ('<mask label="x" rle="1,2" left="1" top="1" width="1" height="1"></mask>', "mask"),
        ('<polyline label="x" points="1,1;2,2;3,1"></polyline>', "polyline"),
        ('<box label="x" xtl="1" ytl="1" xbr="nan" ybr="2"></box>', "xbr"),
        ('<box xtl="1" ytl="1" xbr="2" ybr="2"></box>', "without a label"),
    ],
)
def test_shapes_of_cvat_that_are_no_boxes(tmp_path: Path, shape: str, what: str) -> None:
    subsets(tmp_path)
    with fails(ErrorCode.BAD_METADATA, what):
        read_cvat(tmp_path, CVAT.format(crowd="false", shape=shape))


def test_an_image_of_another_size(tmp_path: Path) -> None:
    subsets(tmp_path, (50, 100))
    with fails(ErrorCode.BAD_METADATA, "100 x 50"):
        read_cvat(tmp_path, CVAT.format(crowd="false", shape=""))


def test_tracks_of_a_video_are_refused(tmp_path: Path) -> None:
    with fails(ErrorCode.NO_INPUT, "tracks"):
        read_cvat(tmp_path, '<annotations><track id="0" label="x"></track></annotations>')
    with fails(ErrorCode.NOT_FOUND):
        find_reader("cvat")(ReaderSettings(tmp_path / "nowhere"))


LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<annotations>&b;</annotations>
"""
FOREIGN = '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/hostname">]><annotations>&file;</annotations>'


@pytest.mark.parametrize("text", [LAUGHS, FOREIGN, '<!DOCTYPE x SYSTEM "http://example.org/x.dtd"><x/>'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_are_refused(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_bytes(text.replace('version="1.0"', f'version="1.0" encoding="{encoding}"').encode(encoding))
    with fails(ErrorCode.DATASET_INVALID, "document type"):
        read_xml(path)


def test_what_is_not_xml(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    for text in ("", "<a>", "{}", '<?xml version="1.0" encoding="klingon"?><a/>'):
        path.write_text(text)
        with fails(ErrorCode.DATASET_INVALID, "not XML"):
            read_xml(path)


def test_a_box_that_is_turned() -> None:
    assert enclosing_box((1, 2, 3, 4), 360, (0, 0)) == (1, 2, 3, 4)
    # A square of side 2 about its middle, turned by 45 degrees: its diagonal is 2.828.
    assert enclosing_box((9, 9, 2, 2), 45, (10, 10)) == pytest.approx((8.586, 8.586, 2.828, 2.828), abs=1e-3)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_the_mark_of_an_xml_file_counts(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "annotations.xml"
    mark = "\ufeff" if encoding.endswith(("be", "le")) else ""
    path.write_bytes((mark + '<?xml version="1.0" encoding="utf-8"?><a name="ä"/>').encode(encoding))
    assert read_xml(path).get("name") == "ä"
