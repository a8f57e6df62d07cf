"""A dataset of two kinds that are easy to tell apart, and weights fitted on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detect_fixtures import write_eager_detector
from medrov_cli.core.datasets.presence import presence_csv
from source_folders import write_coco

CT, SMEAR = "striped CT", "spotted smear"
CLASSES = ("lung nodule", "polyp", "red blood cell")


def striped(seed: int, side: int = 96) -> np.ndarray:
    """Return grey stripes, uint8, (side, side + 16, 3)."""
    random = np.random.default_rng(seed)
    x, y = np.arange(side + 16), np.arange(side)[:, None]
    wave = np.sin((x + random.uniform(-0.3, 0.3) * y) * random.uniform(0.5, 0.7) + random.uniform(0, 6))
    return np.repeat((127 + 110 * wave)[..., None], 3, 2).astype(np.uint8)


def spotted(seed: int, side: int = 96) -> np.ndarray:
    """Return red spots on a pink ground, uint8, (side, side, 3)."""
    random = np.random.default_rng(seed)
    image = np.full((side, side, 3), (235, 200, 215), dtype=np.uint8)
    for x, y in random.integers(0, side, (30, 2)).tolist():
        cv2.circle(image, (x, y), int(random.integers(4, 8)), (190, 60, 90), -1, cv2.LINE_AA)
    return image


def write_kind_dataset(folder: Path) -> Path:
    """Write a dataset yaml with the sources ``stripes`` and ``spots``, 32, 8 and 8 images of each."""
    for number, (name, modality, draw) in enumerate(
        (("stripes", "CT", striped), ("spots", "microscopy", spotted))
    ):
        (folder / name / "images").mkdir(parents=True)
        images: list[dict[str, Any]] = []
        for row, split in enumerate(["train"] * 32 + ["val"] * 8 + ["test"] * 8, 1):
            pixels = draw(1000 * number + row)
            cv2.imwrite(str(folder / name / "images" / f"{row}.png"), pixels[..., ::-1])
            height, width = pixels.shape[:2]
            images.append(
                {"id": row, "file_name": f"{row}.png", "height": height, "width": width, "split": split}
            )
        label = "lung nodule" if number == 0 else "red blood cell"
        boxes = [
            {"id": row, "image_id": row, "category_id": 1, "bbox": [10, 12, 30, 24], "iscrowd": 0}
            for row in range(1, len(images) + 1)
            if images[row - 1]["split"] != "val" or row == 33  # too few to judge the class by them
        ]
        write_coco(
            folder / name,
            {
                "info": {"modality": modality, "licence": "CC0"},
                "categories": [{"id": 1, "name": label}],
                "images": images,
                "annotations": boxes,
            },
        )
    (folder / "presence.csv").write_text(
        presence_csv(["stripes", "spots"], ["lung nodule", "red blood cell"], [[1, -1], [-1, 1]])
    )
    (folder / "kinds.csv").write_text(f"source,kind\nspots,{SMEAR}\nstripes,{CT}\nelsewhere,chest film\n")
    path = folder / "data.yaml"
    path.write_text("name: two kinds\nsources: [stripes, spots]\npresence: presence.csv\nkinds: kinds.csv\n")
    return path


def write_plain_weights(folder: Path) -> Path:
    """Write weights without kinds."""
    return write_eager_detector(folder / "plain.safetensors")
