"""How a dataset with added labels is read: they teach, and they are no truth and no presence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.coco import parse_document, read_document, write_document
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.labelled_documents import ImageLabels, counts_of, undecided, with_added
from medrov_cli.core.datasets.presence import POSSIBLE
from medrov_cli.core.evaluation.run import export_truth
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.settings.choices import SPLITS
from medrov_cli.core.settings.io_groups import DatasetSettings
from medrov_cli.core.training.run import run_training
from training_data import IMAGES, make_source, quick_config

MARKS = {"model": {"name": "m", "sha256": "0" * 64}, "rule": {"score": 0.9}}


def as_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def added(image_id: int, name: str, box: tuple[float, float, float, float], score: float) -> ImageLabels:
    """Return one label of a detector."""
    return image_id, Detections(np.array([box], float), np.array([score]), np.zeros(1, np.int64), (name,))


def add(folder: Path, boxes: list[ImageLabels]) -> dict[str, Any]:
    """Add labels to a source in place; return the new document."""
    path = folder / "annotations.json"
    write_document(path, with_added(read_document(path), boxes, MARKS).parts)
    return as_json(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_source(tmp_path, "smear", "microscopy", ["polyp"])
    make_source(tmp_path, "slides", "histopathology", ["nuclei"])
    (tmp_path / "presence.csv").write_text("dataset,polyp,nuclei\nsmear,1,0\nslides,-1,1\n")
    path = tmp_path / "data.yaml"
    path.write_text("sources: [smear, slides]\npresence: presence.csv\n")
    # One label on the first training image, and one on the first of val.
    boxes = [added(n, "nuclei", (1.0, 2.0, 4.5, 6.25), 0.95) for n in (1, IMAGES["train"] + 1)]
    add(tmp_path / "smear", boxes)
    return path


def test_what_was_there_stays_and_what_is_added_is_marked(tmp_path: Path) -> None:
    make_source(tmp_path, "smear", "microscopy", ["polyp"])
    before = json.loads((tmp_path / "smear" / "annotations.json").read_text())
    before["categories"][0]["id"] = 7
    for annotation in before["annotations"]:
        annotation |= {"category_id": 7, "area": 1e16 + 2, "own": [1.10, {"ü": None}]}
    text = json.dumps(before)
    labelled = with_added(parse_document(before), [added(3, "nuclei", (1.0, 2.0, 4.5, 6.25), 0.95)], MARKS)
    assert json.dumps(before) == text
    write_document(tmp_path / "after.json", labelled.parts)
    after = as_json(tmp_path / "after.json")
    count = len(before["annotations"])
    assert json.dumps(after["annotations"][:count]) == json.dumps(before["annotations"])
    assert after["images"] == before["images"]
    assert after["categories"] == [*before["categories"], {"id": 8, "name": "nuclei", "source": "pseudo"}]
    assert after["annotations"][count:] == [
        {
            "id": count + 1,
            "image_id": 3,
            "category_id": 8,
            "bbox": [1.0, 2.0, 3.5, 4.25],
            "area": 14.88,
            "iscrowd": 0,
            "source": "pseudo",
            "score": 0.95,
            **MARKS,
        }
    ]
    again = with_added(labelled, [added(4, "nuclei", (1.0, 2.0, 4.5, 6.25), 0.95)], MARKS)
    assert again.categories == labelled.categories
    assert len({a.id for a in again.annotations}) == count + 2
    assert [a.image_id for a in undecided(again)] == [3, 4]


def test_counts_by_hand() -> None:
    boxes = [added(image, "nuclei", (0, 0, 1, 1), score) for image, score in ((1, 0.9), (1, 1.0), (2, 0.92))]
    assert counts_of(boxes, ["nuclei", "polyp"]) == {
        "nuclei": {"boxes": 3, "images": 2, "score_quantiles": [0.9, 0.91, 0.92, 0.96, 1.0]},
        "polyp": {"boxes": 0, "images": 0, "score_quantiles": None},
    }


def test_added_labels_do_not_make_a_class_annotated(data: Path) -> None:
    dataset = load_dataset(data)
    assert dataset.classes == ("polyp", "nuclei")
    assert dataset.sources[0].class_ids == (0,)
    assert dataset.presence.tolist() == [[1, 0], [-1, 1]]
    data.write_text("sources: [smear, slides]\n")
    without_table = load_dataset(data)
    assert without_table.presence.tolist() == [[1, POSSIBLE], [-1, 1]]


def test_a_table_that_says_that_they_do_is_refused(data: Path) -> None:
    (data.parent / "presence.csv").write_text("dataset,polyp,nuclei\nsmear,1,1\nslides,-1,1\n")
    with pytest.raises(MedrovError, match="does not annotate that class") as failure:
        load_dataset(data)
    assert failure.value.code is ErrorCode.DATASET_INVALID


def test_they_are_boxes_of_the_train_split_alone(data: Path) -> None:
    def added(**options: Any) -> dict[str, int]:
        samples = load_dataset(data, **options).samples
        return {
            split: sum(int((s.labels == 1).sum()) for s in samples[split] if s.source_id == 0)
            for split in SPLITS
        }

    assert added() == {"train": 1, "val": 0, "test": 0}
    assert added(pseudo=SPLITS) == {"train": 1, "val": 1, "test": 0}
    assert added(pseudo=()) == {"train": 0, "val": 0, "test": 0}
    (first, *_) = load_dataset(data).samples["train"]
    np.testing.assert_allclose(first.boxes_xyxy[first.labels == 1], [[1, 2, 4.5, 6.25]])
    assert all(s.left_out == 0 for split in SPLITS for s in load_dataset(data).samples[split])


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_evaluation_does_not_count_them_as_truth(data: Path, tmp_path: Path, split: Any) -> None:
    export_truth(DatasetSettings(dataset=data, split=split), tmp_path / "truth.json")
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert len(truth["annotations"]) == 2 * IMAGES[split]


def test_images_can_be_elsewhere(data: Path, tmp_path: Path) -> None:
    plain = load_dataset(data)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "smear" / "images").rename(tmp_path / "elsewhere" / "pictures")
    data.write_text(
        "sources:\n- {path: smear, images: elsewhere/pictures}\n- slides\npresence: presence.csv\n"
    )
    dataset = load_dataset(data)
    paths = [s.image_path for s in dataset.samples["train"]]
    assert all(path.is_file() for path in paths)
    assert [p.name for p in paths] == [s.image_path.name for s in plain.samples["train"]]
    assert dataset.sources[0].images == tmp_path / "elsewhere" / "pictures"
    export_truth(DatasetSettings(dataset=data, split="val"), tmp_path / "truth.json")
    names = [i["file_name"] for i in json.loads((tmp_path / "truth.json").read_text())["images"]]
    assert names[0] == f"smear/images/{IMAGES['train'] + 1}.png"


@pytest.mark.slow
def test_training_learns_from_them(tmp_path: Path) -> None:
    """The same run with and without the labels of ``nuclei`` in another source's images differs by them."""
    config = dataclasses.replace(quick_config(tmp_path), epochs=1, close_mosaic=0)
    (tmp_path / "presence.csv").write_text(
        "dataset,left lung,right lung,nuclei\nchest,1,1,0\nsmear,-1,-1,1\n"
    )
    (tmp_path / "data.yaml").write_text("sources: [chest, smear]\npresence: presence.csv\n")
    run_training(config)
    add(tmp_path / "chest", [added(n, "nuclei", (8.0, 8.0, 40.0, 40.0), 0.95) for n in range(1, 9)])
    run_training(dataclasses.replace(config, output=tmp_path / "other"))
    losses = [
        json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
        for out in (config.output, tmp_path / "other")
    ]
    assert losses[0]["loss"] != losses[1]["loss"]
    assert losses[1]["val"]["chest"]["images"] == IMAGES["val"]
