"""Texts in annotations that no encoding can write: half of a surrogate pair, and bytes of file names."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

LICENCE = os.fsdecode(b"li\xe9")
"""As the command line gives an option that is not UTF-8."""

BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 12], "area": 120, "iscrowd": 0}
REGION = {
    "type": "rectanglelabels",
    "original_width": 32,
    "original_height": 32,
    "value": {"x": 10, "y": 10, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["li\ud800ver"]},
}


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".png", np.arange(32 * 32, dtype=np.uint8).reshape(32, 32))[1]
    path.write_bytes(encoded.tobytes())


def coco(folder: Path, file_name: str = "a.png", class_name: str = "liver") -> Path:
    write_image(folder / "images" / "a.png")
    document = {
        "images": [{"id": 1, "file_name": file_name, "width": 32, "height": 32}],
        "annotations": [BOX],
        "categories": [{"id": 1, "name": class_name}],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def label_studio(folder: Path) -> Path:
    write_image(folder / "images" / "a.png")
    task = {"data": {"image": "a.png"}, "annotations": [{"result": [REGION]}]}
    (folder / "tasks.json").write_text(json.dumps([task]))
    return folder


def labelme(folder: Path) -> Path:
    write_image(folder / "a.png")
    shape = {"label": "li\ud800ver", "points": [[2, 3], [12, 15]], "shape_type": "rectangle"}
    (folder / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [shape]}))
    return folder


def yolo(folder: Path) -> Path:
    write_image(folder / "images" / "a.png")
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text('train: images\nnames: ["li\\ud800ver"]\n')
    return folder


def convert(medrov: Any, source: Path, form: str, output: Path) -> Any:
    return medrov(
        *(
            "data",
            "convert",
            source,
            "--from",
            form,
            "--modality",
            "CT",
            "--licence",
            LICENCE,
            "--output",
            output,
        ),
        "--json",
    )


@pytest.mark.parametrize(
    ("form", "make", "file"),
    [
        ("coco", lambda folder: coco(folder, class_name="li\ud800ver"), "annotations.json"),
        ("coco", lambda folder: coco(folder, file_name="a\ud800.png"), "annotations.json"),
        ("coco", lambda folder: coco(folder, class_name=f"li{chr(0xDCE9)}ver"), "annotations.json"),
        ("label-studio", label_studio, "tasks.json"),
        ("yolo", yolo, "data.yaml"),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_with_the_file(
    form: str, make: Any, file: str, medrov: Any, tmp_path: Path
) -> None:
    done = convert(medrov, make(tmp_path / "in"), form, tmp_path / "out")
    error = done.json["error"]
    assert (done.exit_code, error["code"]) == (4, "dataset_invalid")
    assert str(tmp_path / "in" / file) in error["message"]
    assert not (tmp_path / "out").exists()


def test_half_of_a_surrogate_pair_in_one_file_of_many_is_a_record(medrov: Any, tmp_path: Path) -> None:
    folder = labelme(tmp_path / "in")
    write_image(folder / "b.png")
    (folder / "b.json").write_text(json.dumps({"imagePath": "b.png", "shapes": []}))
    done = convert(medrov, folder, "labelme", tmp_path / "out")
    assert (done.exit_code, done.json["images"]) == (3, 1)
    assert [(own["path"], own["error"]["code"]) for own in done.json["failures"]] == [
        ("a.json", "bad_metadata")
    ]


def test_a_pair_of_surrogates_is_one_character(medrov: Any, tmp_path: Path) -> None:
    done = convert(medrov, coco(tmp_path / "in", class_name="liver \N{MICROSCOPE}"), "coco", tmp_path / "out")
    assert done.exit_code == 0
    assert list(done.json["classes"]) == ["liver \N{MICROSCOPE}"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names must be UTF-8 on other systems")
def test_an_output_folder_with_a_name_that_is_not_utf8(run_medrov: Any, tmp_path: Path) -> None:
    output = tmp_path / os.fsdecode(b"caf\xe9")
    done = convert(run_medrov, coco(tmp_path / "in"), "coco", output)
    assert done.exit_code == 0, done.stderr
    assert json.loads((output / "annotations.json").read_bytes().decode())["info"]["licence"] == LICENCE
    assert run_medrov("data", "check", output, "--json").exit_code in (0, 3)
    assert run_medrov("data", "merge", output, "--output", tmp_path / "merged").exit_code == 0
    assert "caf\\udce9" in (tmp_path / "merged" / "presence.csv").read_text(encoding="utf-8")
