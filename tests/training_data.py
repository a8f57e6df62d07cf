"""Small datasets that tests make for themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.model.scales import SCALES
from medrov_cli.core.settings.choices import OptimizerName
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.settings.train_groups import ScheduleSettings

NARROW = {"n": (0.33, 1 / 32, 1024), "s": (0.33, 1 / 16, 1024)}
"""Depth, width and channel cap of networks for tests: an eighth of the width of the scale of that name."""

IMAGES = {"train": 8, "val": 10, "test": 1}


def narrow_networks(patch: pytest.MonkeyPatch) -> None:
    """Give the scales n and s an eighth of their width: a step takes a fraction of the time."""
    for scale, factors in NARROW.items():
        patch.setitem(SCALES, scale, factors)


def make_source(
    folder: Path, name: str, modality: str, classes: list[str], counts: Mapping[str, int] = IMAGES
) -> None:
    """Write a source of bright squares on noise, one square an image; ``counts`` are images by split."""
    rng = np.random.default_rng(len(name))
    images, annotations = [], []
    (folder / name / "images").mkdir(parents=True)
    for split, count in counts.items():
        for _ in range(count):
            identity = len(images) + 1
            pixels = rng.integers(0, 60, (64, 64, 3), dtype=np.uint8)
            left, top, side = (int(v) for v in rng.integers(4, 30, 3))
            pixels[top : top + side, left : left + side] = 220
            cv2.imwrite(str(folder / name / "images" / f"{identity}.png"), pixels)
            images.append(
                {"id": identity, "file_name": f"{identity}.png", "width": 64, "height": 64, "split": split}
            )
            annotations.append(
                {
                    "id": identity,
                    "image_id": identity,
                    "category_id": identity % len(classes),
                    "bbox": [left, top, side, side],
                    "iscrowd": 0,
                }
            )
    document = {
        "info": {"modality": modality, "licence": "CC0"},
        "categories": [{"id": row, "name": label} for row, label in enumerate(classes)],
        "images": images,
        "annotations": annotations,
    }
    (folder / name / "annotations.json").write_text(json.dumps(document))


def quick_config(folder: Path) -> TrainSettings:
    """Make two sources, and return the settings of a run of a few seconds on them."""
    make_source(folder, "chest", "x-ray", ["left lung", "right lung"])
    make_source(folder, "smear", "microscopy", ["nuclei"])
    (folder / "data.yaml").write_text("sources: [chest, smear]\n")
    return TrainSettings(
        dataset=folder / "data.yaml",
        output=folder / "run",
        imgsz=64,
        epochs=3,
        batch=4,
        workers=0,
        device="cpu",
        precision="fp32",
        close_mosaic=1,
        schedule=ScheduleSettings(OptimizerName.ADAMW),  # on images this small Muon takes most of the time
    )
