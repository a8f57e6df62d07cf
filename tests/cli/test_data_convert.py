"""``medrov data convert``: its output for people and for programs, and every exit code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medrov_cli.commands.signature import parameters
from medrov_cli.core.datasets.readers.registry import READERS
from medrov_cli.core.settings.data_convert import UNSTATED, ConvertSettings, ReaderSettings

ABOUT = ("--modality", "ct", "--licence", "CC0")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Two images with a box each; that of the second reaches out of it."""
    folder = tmp_path / "voc"
    folder.mkdir()
    for name, x2 in (("p1_a", 4), ("p2_b", 9)):
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((6, 8, 3), np.uint8))
        box = f"<xmin>2</xmin><ymin>3</ymin><xmax>{x2}</xmax><ymax>6</ymax>"
        item = f"<object><name>cell</name><bndbox>{box}</bndbox></object>"
        (folder / f"{name}.xml").write_text(f"<annotation>{item}</annotation>")
    return folder


def test_defaults_are_those_of_the_core() -> None:
    given = {option.name: option.given_default for option in parameters(ConvertSettings)}
    reader = {own.name: own.default for own in dataclasses.fields(ReaderSettings)}
    for name in ("components", "min_area", "axis", "every", "window", "skip_empty", "readers"):
        assert given[name] == reader[name]
    assert given["source"] == UNSTATED


def test_for_people(medrov: Any, voc: Path, tmp_path: Path) -> None:
    done = medrov("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"class  boxes\ncell       2\n\n2 image(s) in {tmp_path / 'out'} (train 2)\n"
    assert "warning: 1 box(es) extend beyond their image and were cut" in done.stderr


def test_for_programs(medrov: Any, voc: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ("--split", "test", "--case", "^(p[0-9]+)_", "--source", "us", "--json")
    done = medrov("data", "convert", voc, "--from", "voc", "-o", output, *ABOUT, *options)
    assert done.exit_code == 0, done.stderr
    assert done.json == {
        "schema": "medrov.data.convert/1",
        "output": str(output),
        "images": 2,
        "boxes": 2,
        "classes": {"cell": 2},
        "splits": {"train": 0, "val": 0, "test": 2},
        "skipped_empty": 0,
        "clipped_boxes": 1,
        "dropped_boxes": 0,
        "repeated_boxes": 0,
        "failures": [],
    }
    document = json.loads((output / "annotations.json").read_text())
    assert document["info"] == {"modality": "CT", "licence": "CC0", "source": "us"}
    assert [own["bbox"] for own in document["annotations"]] == [[1, 2, 3, 4], [1, 2, 7, 4]]
    cases = {image["case"] for image in document["images"]}
    assert len(cases) == 2
    assert "p1" not in cases


def test_masks_with_all_their_options(medrov: Any, tmp_path: Path) -> None:
    for part in ("pictures", "masks"):
        (tmp_path / part).mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "pictures" / name), np.zeros((6, 8, 3), np.uint8))
        values = np.zeros((6, 8), np.uint8)
        if name == "a.png":
            values[0, 0] = values[2:4, 2:4] = 3
            values[5, 7] = 9
        cv2.imwrite(str(tmp_path / "masks" / name), values)
    masks = (
        "data",
        "convert",
        tmp_path / "masks",
        "--from",
        "masks",
        "--images",
        tmp_path / "pictures",
        *ABOUT,
    )
    labels = ("--labels", "3=polyp,9=")
    done = medrov(*masks, "-o", tmp_path / "1", *labels, "--min-area", 2, "--skip-empty", "--json")
    assert (done.json["boxes"], done.json["images"], done.json["skipped_empty"]) == (1, 1, 1)
    done = medrov(*masks, "-o", tmp_path / "2", *labels, "--no-components", "--json")
    assert (done.json["boxes"], done.json["images"]) == (1, 2)
    document = json.loads((tmp_path / "2" / "annotations.json").read_text())
    assert [(own["bbox"], own["area"]) for own in document["annotations"]] == [([0, 0, 4, 4], 5)]


def test_an_input_that_fails_is_partial(medrov: Any, voc: Path, tmp_path: Path) -> None:
    (voc / "p1_a.png").unlink()
    arguments = ("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT, "--json")
    done = medrov(*arguments)
    assert done.exit_code == 3
    (failure,) = done.json["failures"]
    assert (failure["path"], failure["error"]["code"]) == ("p1_a.xml", "not_found")
    assert "p1_a.xml" in done.stderr
    assert done.json["images"] == 1
    cv2.imwrite(str(voc / "p1_a.png"), np.zeros((6, 8, 3), np.uint8))
    assert medrov(*arguments).exit_code == 2
    done = medrov(*arguments, "--resume", "--workers", 1)
    assert (done.exit_code, done.json["images"]) == (0, 2)


@pytest.mark.parametrize(("options", "boxes"), [((), 4), (("--drop-repeats",), 3)])
def test_a_box_that_stands_there_twice(
    medrov: Any, voc: Path, tmp_path: Path, options: tuple[str, ...], boxes: int
) -> None:
    text = (voc / "p1_a.xml").read_text()
    item = text.removeprefix("<annotation>").removesuffix("</annotation>")
    other = item.replace("cell", "nucleus")  # of another class: no repeat
    (voc / "p1_a.xml").write_text(f"<annotation>{item}{other}{item}</annotation>")
    done = medrov("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT, *options, "--json")
    assert done.exit_code == 0, done.stderr
    assert (done.json["boxes"], done.json["repeated_boxes"]) == (boxes, 4 - boxes)
    coco = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [a["category_id"] for a in coco["annotations"]] == ([1, 2, 1, 1] if boxes == 4 else [1, 2, 1])


def test_no_usable_input(medrov: Any, voc: Path, tmp_path: Path) -> None:
    for path in voc.glob("*.png"):
        path.unlink()
    done = medrov("data", "convert", voc, "--from", "voc", "-o", tmp_path / "out", *ABOUT, "--json")
    assert (done.exit_code, len(done.json["failures"])) == (4, 2)
    done = medrov(
        "data", "convert", tmp_path / "none", "--from", "coco", "-o", tmp_path / "out2", *ABOUT, "--json"
    )
    assert (done.exit_code, done.json["error"]["code"]) == (4, "not_found")
    assert not (tmp_path / "out2").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--from", "excel", *ABOUT), "--from"),
        (("--from", "voc", "--modality", "x-rays", "--licence", "CC0"), "--modality"),
        (("--from", "voc", "--modality", "ct"), "--licence"),
        (("--from", "voc", "--labels", "0=a", *ABOUT), "--labels"),
        (("--from", "voc", "--case", "(", *ABOUT), "--case"),
    ],
)
def test_usage(medrov: Any, voc: Path, tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    done = medrov("data", "convert", voc, "-o", tmp_path / "out", *options)
    assert done.exit_code == 2
    assert named in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_format_can_be_asked_for() -> None:
    (form,) = (option for option in parameters(ConvertSettings) if option.field_name == "format")
    assert sorted(form.spec.choices) == sorted(entry.name for entry in READERS)
