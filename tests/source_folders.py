"""Source folders that tests of ``medrov data`` make for themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True)
class Picture:
    """One image: its boxes as (class, left, top, width, height), and the seed of its pixels."""

    split: str | None = "train"
    boxes: Sequence[tuple[str, float, float, float, float]] = ()
    case: str | None = None
    seed: int | None = None


def write_source(
    folder: Path,
    pictures: Sequence[Picture],
    classes: Sequence[str],
    modality: str = "CT",
    size_hw: tuple[int, int] = (48, 64),
    **info: Any,
) -> Path:
    """Write a source whose images are smooth noise: those of one seed are the same."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    (folder / "images").mkdir(parents=True)
    for number, picture in enumerate(pictures, 1):
        pixels = smooth_noise(number if picture.seed is None else picture.seed, size_hw)
        cv2.imwrite(str(folder / "images" / f"{number:03}.png"), pixels)
        image = {"id": number, "file_name": f"{number:03}.png", "height": size_hw[0], "width": size_hw[1]}
        image |= {} if picture.split is None else {"split": picture.split}
        images.append(image | ({} if picture.case is None else {"case": picture.case}))
        for name, *box in picture.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": classes.index(name) + 1,
                    "bbox": list(box),
                    "iscrowd": 0,
                }
            )
    write_coco(
        folder,
        {
            "info": {"modality": modality, "licence": "CC0", **info},
            "categories": [{"id": row, "name": name} for row, name in enumerate(classes, 1)],
            "images": images,
            "annotations": annotations,
        },
    )
    return folder


def smooth_noise(seed: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Return a colour image of soft blobs."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, size_hw[::-1], interpolation=cv2.INTER_CUBIC)


def write_coco(folder: Path, document: Mapping[str, Any]) -> None:
    (folder / "annotations.json").write_text(json.dumps(document), encoding="utf-8")


def read_coco(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    return document
