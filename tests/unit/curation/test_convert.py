"""What is converted is a source folder that the loader takes: whole, resumable, the same each time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_files import write_dicom
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.plugins import Entry
from medrov_cli.core.curation.convert import convert
from medrov_cli.core.datasets import source_file
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.datasets.source_file import Images
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.data_convert import ConvertSettings, ReaderSettings
from medrov_cli.core.settings.label_map import LabelMap

HEIGHT, WIDTH = 12, 16


def masks_input(folder: Path, names: tuple[str, ...] = ("a.jpg", "b.png", "c.png")) -> Path:
    """Make colour images, a deep one (the last), and masks with one liver and one kidney each."""
    rng = np.random.default_rng(3)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number, name in enumerate(names):
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        if name == names[-1]:
            pixels = rng.integers(300, 400, (HEIGHT, WIDTH), dtype=np.uint16)
        cv2.imwrite(str(folder / "images" / name), pixels)
        values = np.zeros((HEIGHT, WIDTH), np.uint8)
        values[2:5, number : number + 4] = 1
        values[11, 15] = 2
        cv2.imwrite(str((folder / "masks" / name).with_suffix(".png")), values)
    return folder


def config_of(path: Path, output: Path, form: str = "masks", **reader: Any) -> ConvertSettings:
    if form == "masks":
        reader.setdefault("labels", LabelMap({1: "liver", 2: "kidney"}))
    return ConvertSettings(
        format=form,
        reader=ReaderSettings(path, **reader),
        output=output,
        modality=Modality.CT,
        licence="CC0",
        source="a test",
    )


def written(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_masks_become_a_source_that_loads(tmp_path: Path) -> None:
    made = convert(config_of(masks_input(tmp_path / "in"), tmp_path / "out"))
    assert (made.images, dict(made.classes), made.failures) == (3, {"liver": 3, "kidney": 3}, ())
    assert dict(made.splits) == {"train": 3, "val": 0, "test": 0}
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert document["info"] == {"modality": "CT", "licence": "CC0", "source": "a test"}
    assert document["categories"] == [{"id": 1, "name": "liver"}, {"id": 2, "name": "kidney"}]
    assert document["images"][1] == {
        "id": 2, "file_name": "b.png", "width": 16, "height": 12, "split": "train", "case": None,
    }  # fmt: skip
    assert document["annotations"][2] == {
        "id": 3, "image_id": 2, "category_id": 1, "bbox": [1, 2, 4, 3], "area": 12, "iscrowd": 0,
    }  # fmt: skip
    (tmp_path / "d.yaml").write_text("sources: [out]\n")
    dataset = load_dataset(tmp_path / "d.yaml")
    assert dataset.classes == ("liver", "kidney")
    assert [sample.boxes_xyxy.tolist() for sample in dataset.samples["train"]] == [
        [[number, 2, number + 4, 5], [15, 11, 16, 12]] for number in range(3)
    ]
    assert [load_image(sample).shape for sample in dataset.samples["train"]] == [(12, 16, 3)] * 3


def test_pixels_arrive_as_they_were(tmp_path: Path) -> None:
    folder = masks_input(tmp_path / "in")
    convert(config_of(folder, tmp_path / "out"))
    for name in ("a.jpg", "b.png"):
        assert (tmp_path / "out" / "images" / name).read_bytes() == (folder / "images" / name).read_bytes()
    deep = [cv2.imread(str(place / "images" / "c.png"), -1) for place in (folder, tmp_path / "out")]
    assert deep[1].dtype == np.uint16
    np.testing.assert_array_equal(*deep)


def test_the_bytes_depend_on_the_input_alone(tmp_path: Path) -> None:
    for place, workers in (("one", 1), ("other", 4)):
        config = config_of(masks_input(tmp_path / place / "in"), tmp_path / place / "out")
        convert(replace(config, workers=workers))
    first, second = (written(tmp_path / place / "out") for place in ("one", "other"))
    assert set(first) == {"annotations.json", "convert.json", "images/a.jpg", "images/b.png", "images/c.png"}
    assert first == second


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = masks_input(tmp_path / "in")
    convert(config_of(folder, tmp_path / "whole"))
    config = replace(config_of(folder, tmp_path / "out"), workers=1, resume=True)

    def killed(pixels: Any) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(source_file, "png_bytes", killed)  # c.png is the first that is encoded
    with pytest.raises(KeyboardInterrupt):
        convert(config)
    assert set(written(tmp_path / "out")) == {"convert.json", "images/a.jpg", "images/b.png"}
    monkeypatch.undo()
    before = (tmp_path / "out" / "images" / "a.jpg").stat().st_mtime_ns
    convert(config)
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    assert (tmp_path / "out" / "images" / "a.jpg").stat().st_mtime_ns == before


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    folder = masks_input(tmp_path / "in")
    config = config_of(folder, tmp_path / "out")
    convert(config)
    before = written(tmp_path / "out")
    for wrong in (
        config,
        replace(config, resume=True, split="test"),
        replace(config, resume=True, reader=replace(config.reader, min_area=5)),
        replace(config, output=folder),
        replace(config, output=folder, resume=True),
    ):
        with pytest.raises(MedrovError) as caught:
            convert(wrong)
        assert caught.value.code is ErrorCode.USAGE
    assert written(tmp_path / "out") == before


def test_inputs_that_fail_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = masks_input(tmp_path / "in")
    (folder / "images" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "masks" / "c.png").unlink()
    steps: list[tuple[int, int | None, str]] = []
    made = convert(config_of(folder, tmp_path / "out"), lambda *step: steps.append(step))
    assert [(item.path, item.error.code) for item in made.failures] == [
        ("b.png", ErrorCode.TRUNCATED), ("c.png", ErrorCode.NOT_FOUND),
    ]  # fmt: skip
    assert (made.images, steps[-1][:2]) == (1, (3, 3))
    assert set(written(tmp_path / "out")) == {"annotations.json", "convert.json", "images/a.jpg"}


def test_with_no_usable_input_there_is_no_source(tmp_path: Path) -> None:
    folder = masks_input(tmp_path / "in", ("a.png",))
    (folder / "masks" / "a.png").write_bytes(b"")
    made = convert(config_of(folder, tmp_path / "out"))
    assert (made.images, len(made.failures)) == (0, 1)
    assert set(written(tmp_path / "out")) == {"convert.json"}


def coco_input(folder: Path, boxes: list[list[float]], case: str | None = None) -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / "x.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    image = {"id": 5, "file_name": "x.png", "height": HEIGHT, "width": WIDTH, "split": "val", "case": case}
    annotations = [
        {
            "id": 1,
            "image_id": 5,
            "category_id": 1 + n % 2,
            "bbox": box,
            "area": n + 1000.5,  # of neither form of the box: an area can say that it has corners
            "iscrowd": n % 3 == 0,
        }
        for n, box in enumerate(boxes)
    ]
    categories = [{"id": 2, "name": "a"}, {"id": 1, "name": "b"}]
    document = {"images": [image], "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def test_boxes_are_cut_to_their_image_and_counted(tmp_path: Path) -> None:
    boxes = [[-2, 3, 5, 4], [10, 10, 10.5, 2], [20, 1, 3, 3], [1, 1, 0, 4], [0, 0, 16.001, 12]]
    made = convert(config_of(coco_input(tmp_path / "in", boxes), tmp_path / "out", "coco"))
    assert (made.clipped, made.dropped) == (2, 2)  # a thousandth of a pixel is rounding
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [own["bbox"] for own in document["annotations"]] == [[0, 3, 3, 4], [10, 10, 6, 2], [0, 0, 16, 12]]


def test_empty_images_are_kept_or_left_out(tmp_path: Path) -> None:
    folder = coco_input(tmp_path / "in", [])
    made = convert(config_of(folder, tmp_path / "kept", "coco"))
    assert (made.images, made.skipped_empty, dict(made.classes)) == (1, 0, {"a": 0, "b": 0})
    made = convert(config_of(folder, tmp_path / "out", "coco", skip_empty=True))
    assert (made.images, made.skipped_empty) == (0, 1)


SIDES = st.floats(0.01, 5).map(lambda value: round(value, 3))
BOXES = st.lists(
    st.tuples(st.floats(0, 10).map(lambda v: round(v, 3)), st.floats(0, 6), SIDES, SIDES), max_size=4
).filter(lambda boxes: not boxes or any(max(box) > 1 for box in boxes))  # not fractions


@given(boxes=BOXES)
def test_coco_comes_through_twice_without_a_change(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("coco")
    convert(config_of(coco_input(folder / "0", [list(box) for box in boxes], "Jane"), folder / "1", "coco"))
    convert(config_of(folder / "1", folder / "2", "coco"))
    documents = [json.loads((folder / name / "annotations.json").read_text()) for name in "012"]
    assert documents[1] == documents[2]
    assert [own["bbox"] for own in documents[1]["annotations"]] == [list(box) for box in boxes]
    for key in ("area", "iscrowd"):
        assert [own[key] for own in documents[1]["annotations"]] == [
            own[key] for own in documents[0]["annotations"]
        ]


@given(
    box=st.tuples(st.integers(0, 8), st.integers(0, 6), st.integers(1, 8), st.integers(1, 6)),
    form=st.sampled_from(("voc", "yolo")),
)
def test_whole_pixels_come_through_voc_and_yolo(
    tmp_path_factory: pytest.TempPathFactory, box: tuple[int, int, int, int], form: str
) -> None:
    folder = tmp_path_factory.mktemp(form)
    left, top, width, height = box
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "x.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    if form == "voc":
        corners = (left + 1, top + 1, left + width, top + height)
        tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
        (folder / "x.xml").write_text(
            f"<annotation><object><name>a</name><bndbox>{inner}</bndbox></object></annotation>"
        )
    else:
        (folder / "labels").mkdir()
        centre = ((left + width / 2) / WIDTH, (top + height / 2) / HEIGHT, width / WIDTH, height / HEIGHT)
        (folder / "labels" / "x.txt").write_text("0 " + " ".join(f"{value:.6f}" for value in centre))
        (folder / "data.yaml").write_text("train: images\nnames: [a]\n")
    made = convert(config_of(folder, folder / "out", form))
    assert (made.images, made.clipped, made.dropped) == (1, 0, 0)
    document = json.loads((folder / "out" / "annotations.json").read_text())
    np.testing.assert_allclose(document["annotations"][0]["bbox"], box, atol=1e-4)


def test_a_case_is_never_written_as_it_is(tmp_path: Path) -> None:
    convert(config_of(coco_input(tmp_path / "in", [], case="Doe^Jane"), tmp_path / "out", "coco"))
    text = (tmp_path / "out" / "annotations.json").read_text()
    assert "Jane" not in text
    assert len(json.loads(text)["images"][0]["case"]) == 16


@pytest.mark.parametrize("case", ["", "  "])
def test_an_empty_case_is_none(tmp_path: Path, case: str) -> None:
    convert(config_of(coco_input(tmp_path / "in", [], case=case), tmp_path / "out", "coco"))
    (image,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]
    assert image.get("case") is None


def _image(name: str, height: int = 4) -> AnnotatedImage:
    boxes = (Annotation("a", (0, 0, 1, 1)),)
    return AnnotatedImage(name, 4, 4, boxes, lambda: np.zeros((height, 4, 3), np.uint8))


def test_the_writer_trusts_no_reader(tmp_path: Path) -> None:
    images = Images(tmp_path, "train", keep=False)
    assert images.add(_image("a"), skip_empty=False).file_name == "a.png"
    for image, code in (
        (_image("../a"), ErrorCode.INTERNAL),
        (_image("b", height=5), ErrorCode.BAD_METADATA),
    ):
        with pytest.raises(MedrovError) as caught:
            images.add(image, skip_empty=False)
        assert caught.value.code is code
    assert set(written(tmp_path)) == {"images/a.png"}


def test_instances_with_one_uid_are_refused_with_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        write_dicom(folder / f"{name}.dcm", np.zeros((6, 8), np.uint16), SOPInstanceUID="1.2.3")
    (tmp_path / "boxes.csv").write_text("patientId,x,y,width,height,Target\na,2,1,3,4,1\nb,2,1,3,4,1\n")
    with pytest.raises(
        MedrovError, match=r"two images would be written to images/\w+\.png: a\.dcm and b\.dcm"
    ):
        convert(config_of(folder, tmp_path / "out", "dicom-csv", csv=tmp_path / "boxes.csv"))


def test_images_that_differ_by_letter_case_alone_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medrov_cli.core.datasets.readers import registry
    from medrov_cli.core.datasets.readers.protocol import Reading, Unit

    def twins(config: ReaderSettings) -> Reading:
        def images() -> Iterator[AnnotatedImage]:
            yield from (_image("a"), _image("A"))

        return Reading((Unit("volume", images),))

    monkeypatch.setitem(sys.modules, "twins", SimpleNamespace(READER=twins))
    monkeypatch.setattr(registry, "READERS", (Entry("twins", "twins", "READER", "Two images"),))
    with pytest.raises(MedrovError) as caught:
        convert(config_of(tmp_path, tmp_path / "out", "twins"))
    assert caught.value.code is ErrorCode.DATASET_INVALID
    assert not (tmp_path / "out" / "annotations.json").exists()
