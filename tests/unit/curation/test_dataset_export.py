"""What is exported comes back: boxes, classes, splits and cases, as far as a format can carry them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.convert import convert
from medrov_cli.core.curation.dataset_export import run_export
from medrov_cli.core.datasets.cases import local_case
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.writers.exported_images import safe_case
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.data_convert import ConvertSettings, ReaderSettings
from medrov_cli.core.settings.data_export import DataExportSettings

FORMATS: tuple[str, ...] = ("coco", "yolo", "voc", "label-studio", "cvat")
each_format = pytest.mark.parametrize("to", FORMATS)
WIDTH, HEIGHT = 53, 37
CASE = "0123456789abcdef"
AWKWARD = ('5" & <x>', "a/b", "blank  inside", "лёгкое 肺", "it's", "null", "1", "---")


class Item(NamedTuple):
    """One image of a source: its file, split, case, and (class, x, y, width, height) of its boxes."""

    file: str
    split: str | None
    boxes: Sequence[tuple[str, float, float, float, float]]
    case: str | None = None


def make(folder: Path, items: Sequence[Item], classes: Sequence[str]) -> Path:
    """Write a source folder; each image has pixels of its own."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        path = folder / "images" / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), number, dtype=np.uint8))
        record = {"id": number, "file_name": item.file, "width": WIDTH, "height": HEIGHT}
        images.append(record | {"split": item.split, "case": item.case})
        for name, *box in item.boxes:
            where = {"id": len(annotations), "image_id": number, "category_id": classes.index(name)}
            annotations.append({**where, "bbox": box, "iscrowd": 0})
    document = {
        "info": {"modality": "ct"},
        "categories": [{"id": row, "name": name} for row, name in enumerate(classes)],
        "images": images,
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def edit(folder: Path, **changes: Any) -> None:
    """Change the first annotation of a source."""
    file = folder / "annotations.json"
    document = json.loads(file.read_text())
    document["annotations"][0].update(changes)
    file.write_text(json.dumps(document))


def edit_categories(folder: Path, names: Sequence[str]) -> None:
    """Give a source other classes."""
    file = folder / "annotations.json"
    document = json.loads(file.read_text())
    document["categories"] = [{"id": row, "name": name} for row, name in enumerate(names)]
    file.write_text(json.dumps(document))


def read_back(name: str, path: Path, **options: Any) -> tuple[list[AnnotatedImage], tuple[str, ...]]:
    """Return the images and classes that a reader finds."""
    reading = find_reader(name)(ReaderSettings(path, **options))
    return [image for unit in reading.units for image in unit.read()], reading.class_names


def boxes_of(image: AnnotatedImage) -> list[tuple[Any, ...]]:
    return [(a.class_name, *a.box_xywh) for a in image.annotations]


@st.composite
def boxes(draw: st.DrawFn) -> tuple[str, float, float, float, float]:
    """Draw a box inside the image, of any fraction of a pixel from a twentieth on."""
    x, y = draw(st.floats(0, WIDTH - 0.1)), draw(st.floats(0, HEIGHT - 0.1))
    return (
        draw(st.sampled_from(AWKWARD)),
        x,
        y,
        draw(st.floats(0.05, WIDTH - x)),
        draw(st.floats(0.05, HEIGHT - y)),
    )


@each_format
@settings(derandomize=True)
@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from(["train", "val", "test"]),
            st.lists(boxes(), max_size=4, unique_by=lambda own: tuple(round(v, 2) for v in own[1:])),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_goes_out_comes_back(to: str, drawn: list[tuple[str, list[Any]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        items = [Item(f"image {row}.png", split, own) for row, (split, own) in enumerate(drawn)]
        source = make(Path(name) / "source", items, AWKWARD)
        result = run_export(DataExportSettings(source, to, Path(name) / "out"))
        assert (result.images, result.boxes) == (len(items), sum(len(item.boxes) for item in items))
        found, classes = read_back(to, Path(name) / "out")
        if to != "voc":  # which has no list of classes
            assert classes == AWKWARD
        by_pixel = {int(image.read()[0, 0].max()): image for image in found}
        assert sorted(by_pixel) == list(range(len(items)))
        for row, item in enumerate(items):
            image = by_pixel[row]
            assert (image.height, image.width, image.split) == (HEIGHT, WIDTH, item.split)
            assert [own[0] for own in boxes_of(image)] == [own[0] for own in item.boxes]
            for ours, theirs in zip(item.boxes, boxes_of(image), strict=True):
                assert theirs[1:] == pytest.approx(ours[1:], abs=1e-3)
            assert image.original is not None
            assert image.original.read_bytes() == (source / "images" / item.file).read_bytes()


@pytest.mark.parametrize("to", ["coco", "label-studio"])
def test_cases_come_back_where_the_format_has_a_place_for_them(tmp_path: Path, to: str) -> None:
    items = [Item("a.png", "train", [], CASE), Item("b.png", "val", [], "patient 7"), Item("c.png", None, [])]
    run_export(DataExportSettings(make(tmp_path / "source", items, ["x"]), to, tmp_path / "out"))
    assert "patient 7" not in "".join(path.read_text() for path in (tmp_path / "out").glob("*.json"))
    found, _ = read_back(to, tmp_path / "out")
    cases = [image.case for image in found]
    assert cases[2] is None
    assert len({*cases}) == 3
    if to == "label-studio":
        assert cases == [CASE, local_case("source", "patient 7"), None]
    assert [image.split for image in found] == ["train", "val", None]


def test_a_case_is_hashed_once() -> None:
    once = safe_case("patient 7", "a")
    assert once == local_case("a", "patient 7")
    assert safe_case(once, "b") == once
    assert safe_case("patient 7", "b") != once  # another source's
    assert safe_case(None, "a") is None


@pytest.mark.parametrize("to", ["label-studio", "cvat"])
def test_a_crowd_stays_one(tmp_path: Path, to: str) -> None:
    source = make(tmp_path / "s", [Item("a.png", "train", [("x", 1, 2, 3, 4), ("x", 5, 6, 7, 8)])], ["x"])
    edit(source, iscrowd=1)
    assert run_export(DataExportSettings(source, to, tmp_path / "out")).written.crowds == 0
    (image,), _ = read_back(to, tmp_path / "out")
    assert [a.crowd for a in image.annotations] == [True, False]


@pytest.mark.parametrize("to", ["yolo", "voc"])
def test_a_crowd_is_left_out_where_it_would_become_an_object(tmp_path: Path, to: str) -> None:
    source = make(tmp_path / "s", [Item("a.png", "train", [("x", 1, 2, 3, 4), ("x", 5, 6, 7, 8)])], ["x"])
    edit(source, iscrowd=1)
    result = run_export(DataExportSettings(source, to, tmp_path / "out"))
    assert (result.boxes, result.written.crowds) == (1, 1)
    (image,), _ = read_back(to, tmp_path / "out")
    assert boxes_of(image) == [("x", 5, 6, 7, 8)]


@pytest.mark.parametrize("to", ["yolo", "voc", "label-studio", "cvat"])
def test_boxes_are_cut_to_the_image(tmp_path: Path, to: str) -> None:
    own = [("x", -3, 30, 10, 20), ("x", 60, 1, 5, 5)]
    source = make(tmp_path / "s", [Item("a.png", "train", own)], ["x"])
    result = run_export(DataExportSettings(source, to, tmp_path / "out"))
    assert (result.boxes, result.written.outside) == (1, 1)
    (image,), _ = read_back(to, tmp_path / "out")
    assert boxes_of(image) == [("x", 0, 30, 7, 7)]


def test_coco_keeps_whatever_the_source_says_of_a_box(tmp_path: Path) -> None:
    source = make(tmp_path / "s", [Item("a.png", "train", [("x", -3, 30, 10, 20)])], ["x"])
    edit(source, area=17.5, source="pseudo", score=0.93)
    run_export(DataExportSettings(source, "coco", tmp_path / "out"))
    (record,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    assert record["bbox"] == [-3, 30, 10, 20]
    assert (record["area"], record["source"], record["score"]) == (17.5, "pseudo", 0.93)


def test_the_formats_say_what_their_tools_expect(tmp_path: Path) -> None:
    own = [("nodule", 10.6, 7.4, 5.3, 18.5)]
    source = make(tmp_path / "s", [Item("a b.png", "val", own)], ["nodule"])
    for to in FORMATS:
        run_export(DataExportSettings(source, to, tmp_path / to))
    # 10.6 / 53 = 0.2 and 5.3 / 53 = 0.1; 7.4 / 37 = 0.2 and 18.5 / 37 = 0.5.
    line = (tmp_path / "yolo" / "labels" / "val" / "a b.txt").read_text().split()
    assert line[0] == "0"
    assert [float(part) for part in line[1:]] == pytest.approx([0.25, 0.45, 0.1, 0.5])
    assert yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text()) == {
        "val": "images/val",
        "names": {0: "nodule"},
    }
    (task,) = json.loads((tmp_path / "label-studio" / "tasks.json").read_text())
    assert task["data"]["image"] == "/data/local-files/?d=images/a%20b.png"
    (result,) = task["annotations"][0]["result"]
    assert (result["original_width"], result["original_height"]) == (WIDTH, HEIGHT)
    assert [result["value"][key] for key in ("x", "y", "width", "height")] == pytest.approx([20, 20, 10, 50])
    box = ET.parse(tmp_path / "cvat" / "annotations.xml").find("image/box")
    assert box is not None
    corners = [float(box.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
    assert corners == pytest.approx([10.6, 7.4, 15.9, 25.9])
    bounds = ET.parse(tmp_path / "voc" / "Annotations" / "a_b.xml").find("object/bndbox")
    assert bounds is not None
    # 1-based, with the last pixel: left and top are one more than ours.
    assert [float(item.text or "") for item in bounds] == pytest.approx([11.6, 8.4, 15.9, 25.9])


@each_format
def test_the_same_source_gives_the_same_bytes(tmp_path: Path, to: str) -> None:
    source = make(tmp_path / "s", [Item("a.png", "test", [("x", 1, 2, 3, 4)], "me")], ["x", "y"])
    written = []
    for name in ("one", "two"):
        run_export(DataExportSettings(source, to, tmp_path / name))
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        written.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert len(written[0]) >= 2
    assert written[0] == written[1]


@each_format
def test_images_that_differ_by_suffix_or_folder_stay_apart(tmp_path: Path, to: str) -> None:
    names = ("a.png", "a.jpg", "b/a.png", "b__a.png")
    items = [Item(name, "train", [("x", row, row, 2, 2)]) for row, name in enumerate(names)]
    run_export(DataExportSettings(make(tmp_path / "s", items, ["x"]), to, tmp_path / "out"))
    found, _ = read_back(to, tmp_path / "out")
    assert len({image.name for image in found}) == 4
    for image in found:
        row = int(image.read()[0, 0].max())
        assert boxes_of(image) == [("x", row, row, 2, 2)]


@each_format
def test_a_dataset_of_two_sources_or_one_of_them(tmp_path: Path, to: str) -> None:
    make(tmp_path / "one", [Item("a.png", "train", [("x", 1, 1, 2, 2)])], ["x"])
    make(tmp_path / "two", [Item("a.png", "val", [("y", 3, 3, 2, 2), ("x", 5, 5, 2, 2)])], ["y", "x"])
    yaml_path = tmp_path / "data.yaml"
    yaml_path.write_text("sources: [one, two]\n")
    both = run_export(DataExportSettings(yaml_path, to, tmp_path / "both"))
    assert (both.images, both.boxes, both.classes) == (2, 3, ("x", "y"))
    found, _ = read_back(to, tmp_path / "both")
    assert [boxes_of(image) for image in found] == [
        [("x", 1, 1, 2, 2)],
        [("y", 3, 3, 2, 2), ("x", 5, 5, 2, 2)],
    ]
    for options in ({"sources": ("two",)}, {"splits": ("val",)}):
        part = run_export(DataExportSettings(yaml_path, to, tmp_path / str(options), **options))  # type: ignore[arg-type]
        assert (part.images, part.boxes) == (1, 2)
    with pytest.raises(MedrovError) as caught:
        run_export(DataExportSettings(yaml_path, to, tmp_path / "none", sources=("three",)))
    assert caught.value.code is ErrorCode.DATASET_INVALID


def test_a_missing_image_is_a_failure_and_the_rest_is_written(tmp_path: Path) -> None:
    items = [Item("a.png", "train", [("x", 1, 1, 2, 2)]), Item("b.png", "train", [("x", 3, 3, 2, 2)])]
    source = make(tmp_path / "s", items, ["x"])
    (source / "images" / "a.png").unlink()
    result = run_export(DataExportSettings(source, "cvat", tmp_path / "out"))
    ((name, error),) = result.failures
    assert (name, error.code) == ("s/a.png", ErrorCode.NOT_FOUND)
    (image,), _ = read_back("cvat", tmp_path / "out")
    assert boxes_of(image) == [("x", 3, 3, 2, 2)]
    (source / "images" / "b.png").unlink()
    with pytest.raises(MedrovError) as caught:
        run_export(DataExportSettings(source, "cvat", tmp_path / "other"))
    assert caught.value.code is ErrorCode.NO_INPUT


def test_a_run_goes_on_with_its_own_folder_alone(tmp_path: Path) -> None:
    source = make(tmp_path / "s", [Item(f"{n}.png", "train", []) for n in "ab"], ["x"])
    config = DataExportSettings(source, "yolo", tmp_path / "out")
    run_export(config)
    kept = tmp_path / "out" / "images" / "train" / "a.png"
    os.utime(kept, (1, 1))
    (kept.parent / "b.png").write_bytes(b"half")
    (tmp_path / "out" / "data.yaml").unlink()  # as if it had been killed before the end
    run_export(replace(config, resume=True))
    assert kept.stat().st_mtime == 1
    assert (kept.parent / "b.png").read_bytes() == (source / "images" / "b.png").read_bytes()
    assert (tmp_path / "out" / "data.yaml").is_file()
    refused = [config, replace(config, resume=True, splits=("train",)), replace(config, output=source)]
    for other in refused:
        with pytest.raises(MedrovError) as caught:
            run_export(other)
        assert caught.value.code is ErrorCode.USAGE
    edit_categories(source, ["y"])
    with pytest.raises(MedrovError, match="other inputs"):
        run_export(replace(config, resume=True))


def test_links_share_the_files(tmp_path: Path) -> None:
    source = make(tmp_path / "s", [Item("a.png", "train", [])], ["x"])
    run_export(DataExportSettings(source, "coco", tmp_path / "copy"))
    run_export(DataExportSettings(source, "coco", tmp_path / "link", link_images=True))
    original = source / "images" / "a.png"
    assert not original.samefile(tmp_path / "copy" / "images" / "a.png")
    assert original.samefile(tmp_path / "link" / "images" / "a.png")


@pytest.mark.parametrize("to", ["voc", "label-studio", "cvat"])
def test_what_xml_cannot_hold_is_refused(tmp_path: Path, to: str) -> None:
    source = make(tmp_path / "s", [Item("a.png", "train", [("x\x07", 1, 2, 3, 4)])], ["x\x07"])
    with pytest.raises(MedrovError, match="control character") as caught:
        run_export(DataExportSettings(source, to, tmp_path / "out"))
    assert caught.value.code is ErrorCode.DATASET_INVALID


def proposals(folder: Path) -> Path:
    """Write a slice of a volume: a class of people, and one of a detector alone, with a box of each."""
    own = [("x", 1, 2, 3, 4), ("y", 5, 6, 7, 8)]
    source = make(folder, [Item("a.png", "test", own, CASE)], ["x", "y"])
    document = json.loads((source / "annotations.json").read_text())
    document["info"] |= {"licence": "CC0", "source": "a hospital"}
    document["categories"][1] |= {"source": "pseudo", "supercategory": "things"}
    document["images"][0] |= {"mpp": 0.25, "volume": {"id": "v", "slice": 3}, "scanner": "A"}
    document["annotations"][0]["object"] = 7
    document["annotations"][1] |= {"source": "pseudo", "score": 0.93, "model": {"name": "n"}}
    (source / "annotations.json").write_text(json.dumps(document))
    return source


def test_coco_export_keeps_all_and_converts_back_with_the_marks_of_a_detector(tmp_path: Path) -> None:
    source = proposals(tmp_path / "s")
    (before,) = load_dataset(yaml_of(source), pseudo=("test",)).samples["test"]
    run_export(DataExportSettings(source, "coco", tmp_path / "out"))
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert document["info"] | {"licence": "CC0", "source": "a hospital"} == document["info"]
    assert document["categories"][1] == {"id": 2, "name": "y", "source": "pseudo", "supercategory": "things"}
    assert document["images"][0]["scanner"] == "A"
    reader = ReaderSettings(tmp_path / "out")
    convert(
        ConvertSettings(
            format="coco", reader=reader, output=tmp_path / "back", modality=Modality.CT, licence="CC0"
        )
    )
    for folder in (tmp_path / "out", tmp_path / "back"):
        dataset = load_dataset(yaml_of(folder), pseudo=("test",))
        assert dataset.presence.tolist() == [[1, 0]]
        (sample,) = dataset.samples["test"]
        assert (sample.mpp, sample.volume, sample.case) == (0.25, before.volume, CASE)
        assert sample.object_numbers is not None
        assert sample.object_numbers.tolist() == [7, -1]
        (human,) = load_dataset(yaml_of(folder), pseudo=()).samples["test"]
        assert (human.labels.tolist(), sample.labels.tolist()) == ([0], [0, 1])
    written = json.loads((tmp_path / "back" / "annotations.json").read_text())["annotations"][1]
    assert (written["score"], written["model"]) == (0.93, {"name": "n"})


def yaml_of(source: Path) -> Path:
    path = source.with_suffix(".yaml")
    path.write_text(f"sources: [{source.name}]\n")
    return path


def test_coco_export_of_two_sources_keeps_what_both_state(tmp_path: Path) -> None:
    sources = [proposals(tmp_path / "one"), proposals(tmp_path / "two")]
    document = json.loads((sources[1] / "annotations.json").read_text())
    document["info"]["licence"] = "MIT"
    del document["categories"][1]["source"]  # people annotated it there
    (sources[1] / "annotations.json").write_text(json.dumps(document))
    (tmp_path / "data.yaml").write_text("sources: [one, two]\n")
    run_export(DataExportSettings(tmp_path / "data.yaml", "coco", tmp_path / "out"))
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert (document["info"]["source"], document["info"].get("licence")) == ("a hospital", None)
    assert "source" not in document["categories"][1]


@pytest.mark.parametrize(("to", "unmarked"), [("yolo", 1), ("voc", 1), ("label-studio", 1), ("cvat", 0)])
def test_boxes_of_a_detector_are_counted_where_they_look_like_those_of_people(
    tmp_path: Path, to: str, unmarked: int
) -> None:
    result = run_export(DataExportSettings(proposals(tmp_path / "s"), to, tmp_path / "out"))
    assert (result.boxes, result.written.unmarked) == (2, unmarked)
    (image,), _ = read_back(to, tmp_path / "out")
    assert any("source 'auto'" in text for text in image.warnings) == (to == "cvat")
