"""The dataset yaml and its COCO sources: what is read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.sample_images import load_image
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.training.data.store import ImageStore


def _coco(**changes: Any) -> dict[str, Any]:
    document = {
        "info": {"modality": "x-ray", "licence": "CC0"},
        "categories": [{"id": 5, "name": "left lung"}, {"id": 9, "name": "right lung"}],
        "images": [
            {"id": 1, "file_name": "a.png", "width": 40, "height": 30, "split": "train", "case": "p1"},
            {"id": 2, "file_name": "b.png", "width": 40, "height": 30, "split": "test", "case": None},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 9, "bbox": [2, 3, 10, 20], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 5, "bbox": [30, 3, 20, 20], "iscrowd": 0},
            {"id": 3, "image_id": 1, "category_id": 5, "bbox": [1, 1, 2, 2], "iscrowd": 1},
        ],
    }
    return document | changes


def _write(folder: Path, name: str = "chest", document: dict[str, Any] | None = None) -> None:
    (folder / name / "images").mkdir(parents=True)
    (folder / name / "annotations.json").write_text(json.dumps(document or _coco()))
    for file in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name / "images" / file), np.full((30, 40, 3), (10, 20, 30), np.uint8))


def _yaml(folder: Path, text: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(text)
    return path


def test_reads_boxes_classes_and_splits(tmp_path: Path) -> None:
    _write(tmp_path)
    path = _yaml(tmp_path, "name: d\nsources: [{path: chest, name: CXR}]\nclasses: {left lung: a/b}\n")
    dataset = load_dataset(path)
    assert dataset.classes == ("left lung", "right lung")
    assert dataset.synonyms == {"left lung": ("a", "b")}
    source = dataset.sources[0]
    assert (source.name, source.modality, source.licence) == ("CXR", Modality.XRAY, "CC0")
    (sample,) = dataset.samples["train"]
    np.testing.assert_array_equal(sample.boxes_xyxy, [[2, 3, 12, 23], [30, 3, 40, 23]])  # cut at the edge
    assert sample.labels.tolist() == [1, 0]
    assert (len(dataset.samples["test"]), len(dataset.samples["val"])) == (1, 0)
    assert dataset.modalities_of(0) == (Modality.XRAY,)


def test_crowds_areas_and_boxes_without_area(tmp_path: Path) -> None:
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 9, "bbox": [2, 3, 10, 20], "area": 150, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 5, "bbox": [30, 3, 20, 20], "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 5, "bbox": [1, 1, 2, 2], "iscrowd": 1},
        {"id": 4, "image_id": 1, "category_id": 5, "bbox": [4, 4, 0, 9], "iscrowd": 0},
        {"id": 5, "image_id": 1, "category_id": 5, "bbox": [50, 50, 9, 9], "iscrowd": 0},  # outside
    ]
    _write(tmp_path, document=_coco(annotations=annotations))
    dataset = load_dataset(_yaml(tmp_path, "sources: [chest]\nnovel: [right lung]\n"))
    (sample,) = dataset.samples["train"]
    assert sample.areas.tolist() == [150, 200]  # the annotation's own; else that of the box inside the image
    np.testing.assert_array_equal(sample.crowd_xyxy, [[1, 1, 3, 3]])
    assert (sample.crowd_labels.tolist(), sample.left_out) == ([0], 2)
    assert dataset.novel == (1,)


def test_sources_share_classes_by_name(tmp_path: Path) -> None:
    _write(tmp_path, "one")
    _write(tmp_path, "two", _coco(categories=[{"id": 5, "name": "heart"}, {"id": 9, "name": "left lung"}]))
    dataset = load_dataset(_yaml(tmp_path, "sources: [one, two]\n"))
    assert dataset.classes == ("left lung", "right lung", "heart")
    assert [s.class_ids for s in dataset.sources] == [(0, 1), (0, 2)]
    assert dataset.samples["train"][1].labels.tolist() == [0, 2]


def test_images_are_rgb_and_shrunk_once(tmp_path: Path) -> None:
    _write(tmp_path)
    samples = load_dataset(_yaml(tmp_path, "sources: [chest]\n")).samples["train"]
    assert load_image(samples[0])[0, 0].tolist() == [30, 20, 10]
    seen: list[tuple[int, int | None, str]] = []
    store = ImageStore(samples, 20, lambda *reported: seen.append(reported))
    assert store[0].shape == (15, 20, 3)
    assert seen == [(1, 1, "read")]


@pytest.mark.parametrize(
    ("text", "document", "says"),
    [
        ("sources: [nowhere]", None, "nowhere"),
        ("sources: []", None, "sources"),
        ("sources: [chest, null]", None, "names no folder"),
        ("sources: [[chest]]", None, "names no folder"),
        ("sources: [chest]\nclases: {}", None, "clases"),
        ("sources: [chest, chest]", None, "twice"),
        ("sources: [chest]\nclasses: {liver: x}", None, "liver"),
        (": [", None, "not YAML"),
        ("sources: [chest]", _coco(info={}), "modality"),
        ("sources: [chest]", _coco(info={"modality": "smell"}), "smell"),
        (
            "sources: [chest]",
            _coco(
                images=[{"id": 1, "file_name": "a", "width": 1, "height": 1, "split": "dev"}], annotations=[]
            ),
            "dev",
        ),
        (
            "sources: [chest]",
            _coco(annotations=[{"id": 3, "image_id": 7, "category_id": 5, "bbox": [0, 0, 1, 1]}]),
            "annotation 3 has the unknown image_id 7",
        ),
        (
            "sources: [chest]",
            _coco(annotations=[{"id": 3, "image_id": 1, "category_id": 6, "bbox": [0, 0, 1, 1]}]),
            "annotation 3 has the unknown category_id 6",
        ),
        ("sources: [chest]", _coco(images=[_coco()["images"][0]] * 2), "two images have the id 1"),
        (
            "sources: [chest]",
            _coco(categories=[{"id": 5, "name": " "}, {"id": 9, "name": "a"}]),
            "' ' has no text",
        ),
        (
            "sources: [chest]",
            _coco(categories=[{"id": 5, "name": "/"}, {"id": 9, "name": "a"}]),
            "'/' has no text",
        ),
        ("sources: [chest]\nnovel: [liver]", None, "liver"),
        ("sources: [chest]\nnovel: liver", None, "novel"),
    ],
)
def test_refusals_name_the_fault(
    tmp_path: Path, text: str, document: dict[str, Any] | None, says: str
) -> None:
    _write(tmp_path, document=document)
    with pytest.raises(MedrovError) as caught:
        load_dataset(_yaml(tmp_path, text))
    assert caught.value.code is ErrorCode.DATASET_INVALID
    assert caught.value.exit_code is ExitCode.NO_INPUT
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("damage", ["missing", "garbage", "other size"])
def test_images_must_be_what_their_record_says(tmp_path: Path, damage: str) -> None:
    _write(tmp_path)
    file = tmp_path / "chest" / "images" / "a.png"
    if damage == "missing":
        file.unlink()
    elif damage == "garbage":
        file.write_bytes(b"no image")
    else:
        cv2.imwrite(str(file), np.zeros((10, 10, 3), np.uint8))
    samples = load_dataset(_yaml(tmp_path, "sources: [chest]\n")).samples["train"]
    store = ImageStore(samples, 32)  # one image of a split may be unreadable
    (failure,) = store.failures
    assert failure.code is ErrorCode.DATASET_INVALID
    assert "a.png" in failure.message
    assert len(store) == len(samples) - 1
