"""Batches: the same whoever makes them, and no negatives where nobody looked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from medrov_cli.core.datasets.dataset import Dataset, load_dataset
from medrov_cli.core.datasets.presence import NOBODY, POSSIBLE
from medrov_cli.core.settings.train_groups import NegativeSettings
from medrov_cli.core.training.data.batch import Batch
from medrov_cli.core.training.data.iteration import iterate
from medrov_cli.core.training.data.loader import BatchSource, LoaderSettings, Share, sides_of
from medrov_cli.core.training.data.prompting import ClassTexts, nearest_classes
from medrov_cli.core.training.data.store import ImageStore
from training_data import make_source

CONFIG = LoaderSettings(imgsz=64, multi_scale=0.5, batch=8, seed=3, max_prompts=80)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    make_source(folder, "chest", "x-ray", ["left lung", "right lung"])
    make_source(folder, "smear", "microscopy", ["nuclei"])
    make_source(folder, "ct", "CT", ["liver", "right kidney", "aorta"])
    (folder / "presence.csv").write_text(
        "dataset,left lung,right lung,nuclei,liver,right kidney,aorta\n"
        "chest,1,1,-1,0,-1,0\nsmear,-1,-1,1,-1,-1,-1\nct,0,0,-1,1,1,1\n"
    )
    (folder / "data.yaml").write_text("sources: [chest, smear, ct]\npresence: presence.csv\n")
    return load_dataset(folder / "data.yaml")


def batches(
    dataset: Dataset, config: LoaderSettings = CONFIG, *, share: Share | None = None, epoch: int = 0
) -> BatchSource:
    samples = dataset.samples["train"]
    texts = ClassTexts.build([(name,) for name in dataset.classes])
    nearest = nearest_classes(np.eye(len(dataset.classes), dtype=np.float32))
    store = ImageStore(samples, 80)
    return BatchSource(dataset, samples, store, texts, nearest, config, epoch, mosaic=True, share=share)


def sample_of(batch: Batch, row: int) -> list[object]:
    """Return one sample of a batch without what only fills it up."""
    own = batch.classes[row] != NOBODY
    mine = batch.image_index == row
    labels = batch.classes[row][batch.labels[mine]]
    parts = (batch.images[row], batch.text_rows[row][own], batch.ignored[row][own], batch.classes[row][own])
    return [part.tolist() for part in (*parts, labels, batch.boxes_xyxy[mine], batch.regions_xyxy[row])]


@pytest.mark.parametrize(("processes", "parts"), [(2, 1), (1, 4), (2, 2)])
def test_a_step_is_the_same_however_it_is_divided(dataset: Dataset, processes: int, parts: int) -> None:
    whole = batches(dataset)
    for step in range(whole.steps):
        expected = [sample_of(whole[step], row) for row in range(8)]
        found = []
        for part in range(parts):
            for process in range(processes):
                batch = batches(dataset, share=Share(processes, process, parts))[step * parts + part]
                found.extend(sample_of(batch, row) for row in range(len(batch.images)))
        assert found == expected


def test_an_epoch_can_be_entered_anywhere(dataset: Dataset) -> None:
    source = batches(dataset)
    assert len(source) == source.steps == 3
    whole = list(iterate(source, workers=0))
    rest = list(iterate(source, workers=1, first=1))
    assert len(rest) == 2
    for one, other in zip(whole[1:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_columns_name_the_boxes_and_fill_up(dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, negatives=NegativeSettings(random=False))
    filled = 0
    for batch in iterate(batches(dataset, config), workers=0):
        texts = ClassTexts.build([(name,) for name in dataset.classes])
        for row, classes in enumerate(batch.classes):
            own = classes != NOBODY
            assert (batch.text_rows[row][~own] == batch.text_rows[row][0]).all()
            assert batch.ignored[row][~own].all()
            filled += int((~own & (batch.text_rows[row] != 0)).sum())
            for column in own.nonzero().flatten():
                assert batch.text_rows[row][column] in texts.rows[classes[column]]
            assert own[batch.labels[batch.image_index == row]].all(), "no box is of a column that fills up"
        assert (batch.image_index.diff() >= 0).all()
    assert filled > 5


@pytest.mark.parametrize("federated", [True, False])
def test_what_a_source_may_show_unannotated_is_never_a_negative(dataset: Dataset, federated: bool) -> None:
    config = dataclasses.replace(CONFIG, negatives=NegativeSettings(federated=federated))
    seen = 0
    for epoch in range(3):
        for batch in iterate(batches(dataset, config, epoch=epoch), workers=0):
            for row, classes in enumerate(batch.classes):
                sources = batch.region_sources[row].numpy()
                possible = (dataset.presence[sources[sources != NOBODY]] == POSSIBLE).any(0)
                own = classes != NOBODY
                expected = torch.from_numpy(possible)[classes[own]]
                seen += int(expected.sum())
                ignored = batch.ignored[row][own]
                assert torch.equal(ignored, expected if federated else torch.zeros_like(expected))
    assert seen > 20


def test_novel_classes_are_neither_asked_for_nor_shown(dataset: Dataset) -> None:
    novel = (dataset.classes.index("nuclei"), dataset.classes.index("aorta"))
    held_out = dataclasses.replace(dataset, novel=novel)
    plain = list(iterate(batches(dataset), workers=0))
    found = list(iterate(batches(held_out), workers=0))
    assert not any(np.isin(batch.classes, novel).any() for batch in found)
    assert sum(len(b.labels) for b in found) < sum(len(b.labels) for b in plain)
    for one, other in zip(plain, found, strict=True):
        assert torch.equal(one.images, other.images)


def wide_dataset(folder: Path) -> Dataset:
    """Return a dataset whose images have the shapes 2:1, 1:1 and 1:2, 16 of each."""
    make_source(folder, "chest", "x-ray", ["left lung"], {"train": 48, "val": 2})
    path = folder / "chest" / "annotations.json"
    document = json.loads(path.read_text())
    for row, image in enumerate(document["images"]):
        image["height"], image["width"] = ((32, 64), (64, 64), (64, 32))[row % 3]
        pixels = np.full((image["height"], image["width"], 3), 90, np.uint8)
        cv2.imwrite(str(folder / "chest" / "images" / image["file_name"]), pixels)
    for box in document["annotations"]:
        box["bbox"] = [4, 4, 20, 20]
    path.write_text(json.dumps(document))
    (folder / "data.yaml").write_text("sources: [chest]\n")
    return load_dataset(folder / "data.yaml")


def test_steps_of_rectangles_have_the_shape_of_their_images(tmp_path: Path) -> None:
    dataset = wide_dataset(tmp_path)
    config = dataclasses.replace(CONFIG, imgsz=128, multi_scale=0.0, rectangles=1.0)
    source = batches(dataset, config)
    assert sorted({tuple(batch.images.shape[2:]) for batch in iterate(source, workers=0)}) == [
        (64, 128),
        (128, 64),
        (128, 128),
    ]
    for step in range(source.steps):
        batch = source[step]
        height, width = batch.images.shape[2:]
        assert (batch.region_sources[:, 1:] == NOBODY).all(), "no mosaics"
        assert (batch.boxes_xyxy >= 0).all()
        assert (batch.boxes_xyxy <= torch.tensor([width, height, width, height])).all()
        halves = [batches(dataset, config, share=Share(2, process))[step] for process in range(2)]
        assert torch.equal(batch.images, torch.cat([half.images for half in halves]))


def test_some_steps_are_squares(tmp_path: Path) -> None:
    dataset = wide_dataset(tmp_path)
    shapes = []
    for share in (0.0, 0.5, 1.0):
        config = dataclasses.replace(CONFIG, imgsz=128, multi_scale=0.0, rectangles=share)
        found = [
            tuple(batch.images.shape[2:])
            for epoch in range(8)
            for batch in iterate(batches(dataset, config, epoch=epoch), workers=0)
        ]
        shapes.append(np.mean([height == width for height, width in found]))
    assert shapes[0] == 1.0
    assert shapes[2] < shapes[1] < 1.0


def test_sides() -> None:
    assert sides_of(320, 0.0) == [320]
    assert sides_of(352, 0.2) == [288, 320, 352, 384, 416]
    assert min(sides_of(64, 1.0)) == 32
