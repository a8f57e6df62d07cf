"""Draw a source of whole chest CT slices with pasted lung nodules: ``lidc_nodule_pasted``.

    python examples/paste_nodules.py DATA --count 300 --seed 7

``DATA`` has the folders ``lidc_nodule_crops`` (nodules, enlarged twofold), ``lidc_nodule_slices`` and
``chest_ct_organs`` (whole slices). Only training images are read, and all images of the result are training
images: patients of the validation and test splits have no part in it.

A nodule is what is brighter than the lung around it, within an ellipse in its box. It is added to the lung of
a slice at its true size, with the contrast that the slice has between lung and soft tissue.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CROPS, SLICES, ORGANS, RESULT = (
    "lidc_nodule_crops",
    "lidc_nodule_slices",
    "chest_ct_organs",
    "lidc_nodule_pasted",
)
CROP_SCALE = 0.5
"""Pixels of a CT slice per pixel of a crop."""

ORGANS_SCALE = 448 / 512
"""Pixels of an image of `ORGANS` per pixel of a CT slice."""

LUNG_LEVEL = 70
"""Grey levels below are lung or air."""

SMALLEST_LUNG = 1500
"""Pixels of a dark region that is a lung."""


@dataclass(frozen=True)
class Nodule:
    """What a nodule adds to the lung around it: grey levels (h, w), 0 outside of its ellipse."""

    added: np.ndarray
    contrast: float

    @classmethod
    def cut(cls, image: np.ndarray, box: Sequence[float]) -> Nodule | None:
        """Return the nodule of a box (x, y, w, h); none if it is not surrounded by lung."""
        x, y, w, h = (round(value) for value in box)
        margin = 4
        top, left = max(y - margin, 0), max(x - margin, 0)
        around = image[top : y + h + margin, left : x + w + margin].astype(np.float32)
        ring = np.ones(around.shape, bool)
        ring[y - top : y - top + h, x - left : x - left + w] = False
        lung = float(np.median(around[ring]))
        if lung > LUNG_LEVEL or np.mean(around[ring] > 1.6 * LUNG_LEVEL) > 0.15:
            return None
        rows, columns = np.mgrid[: around.shape[0], : around.shape[1]]
        radius = np.hypot(
            (rows - (y - top) - h / 2 + 0.5) / (h / 2 + 1), (columns - (x - left) - w / 2 + 0.5) / (w / 2 + 1)
        )
        mask = np.clip((1.15 - radius) / 0.3, 0, 1)
        return cls(np.maximum(around - lung, 0) * mask, float(np.percentile(image, 97)) - lung)


@dataclass(frozen=True)
class Slice:
    """A whole slice: grey levels (h, w), its lung (h, w), boxes of its own nodules, and its scale."""

    grey: np.ndarray
    lung: np.ndarray
    boxes: list[list[float]]
    scale: float
    case: str

    @property
    def contrast(self) -> float:
        """Difference of grey level between soft tissue and lung."""
        bright = self.grey[self.grey > 2 * LUNG_LEVEL]
        return float(np.median(bright)) - float(np.median(self.grey[self.lung]))


def lung_of(grey: np.ndarray) -> np.ndarray:
    """Return where the lung is: large dark regions that do not touch the border and are not empty."""
    dark = (cv2.GaussianBlur(grey, (0, 0), 2) < LUNG_LEVEL).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(dark)
    height, width = grey.shape
    found = np.zeros(grey.shape, bool)
    for label, (x, y, w, h, area) in enumerate(stats):
        inside = x > 0 and y > 0 and x + w < width and y + h < height
        own = labels == label
        if label and inside and area >= SMALLEST_LUNG and np.median(grey[own]) > 5:
            found |= own
    return cv2.erode(found.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)


def training_images(folder: Path) -> list[tuple[dict[str, Any], np.ndarray, list[list[float]]]]:
    """Return the training images of a source, with grey levels and boxes of nodules."""
    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    names = {row["id"]: row["name"] for row in document["categories"]}
    found = []
    for image in document["images"]:
        if image["split"] != "train":
            continue
        grey = cv2.imread(str(folder / "images" / image["file_name"]), cv2.IMREAD_GRAYSCALE)
        boxes = [
            row["bbox"]
            for row in document["annotations"]
            if row["image_id"] == image["id"] and names[row["category_id"]] == "lung nodule"
        ]
        found.append((image, grey, boxes))
    return found


def paste(own: Slice, nodule: Nodule, rng: np.random.Generator) -> list[float] | None:
    """Add a nodule to a slice; return its box, or none if there is no place."""
    scale = CROP_SCALE * own.scale * rng.uniform(0.8, 1.3)
    added = np.rot90(nodule.added, int(rng.integers(4)))
    added = added[:, ::-1] if rng.random() < 0.5 else added
    size = [max(3, round(side * scale)) for side in added.shape[::-1]]
    added = cv2.resize(np.ascontiguousarray(added), size, interpolation=cv2.INTER_AREA)
    w, h = size
    bright = added > 0.3 * added.max()
    places = np.argwhere(own.lung)
    for row, column in places[rng.integers(len(places), size=40)]:
        top, left = int(row) - h // 2, int(column) - w // 2
        if top < 0 or left < 0 or top + h > own.grey.shape[0] or left + w > own.grey.shape[1]:
            continue
        if not own.lung[top : top + h, left : left + w][bright].mean() > 0.8:
            continue
        ys, xs = np.nonzero(bright)
        box = [
            left + float(xs.min()),
            top + float(ys.min()),
            float(np.ptp(xs)) + 1,
            float(np.ptp(ys)) + 1,
        ]
        if any(_touch(box, other) for other in own.boxes):
            continue
        part = own.grey[top : top + h, left : left + w]
        gain = own.contrast / max(nodule.contrast, 1) * rng.uniform(0.8, 1.2)
        part[:] = np.clip(part + gain * added, 0, 255).astype(np.uint8)
        return box
    return None


def _touch(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(
        first[axis] < second[axis] + second[axis + 2] + 4 and second[axis] < first[axis] + first[axis + 2] + 4
        for axis in (0, 1)
    )


def main() -> None:
    """Write the source."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the sources; the result becomes one of them")
    parser.add_argument("--count", type=int, default=300, help="number of images")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    nodules = [
        nodule
        for _, grey, boxes in training_images(options.data / CROPS)
        for box in boxes
        if (nodule := Nodule.cut(grey, box)) is not None
    ]
    slices = [
        Slice(grey, lung, boxes, scale, image.get("case", image["file_name"]))
        for name, scale in ((SLICES, 1.0), (ORGANS, ORGANS_SCALE))
        for image, grey, boxes in training_images(options.data / name)
        if (lung := lung_of(grey)).sum() > SMALLEST_LUNG
    ]
    folder = options.data / RESULT
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    while len(images) < options.count:
        base = slices[int(rng.integers(len(slices)))]
        own = Slice(base.grey.copy(), base.lung, list(base.boxes), base.scale, base.case)
        for _ in range(int(rng.integers(1, 4))):
            box = paste(own, nodules[int(rng.integers(len(nodules)))], rng)
            if box is not None:
                own.boxes.append(box)
        if len(own.boxes) == len(base.boxes):
            continue
        name = f"pasted_{len(images):04}.png"
        cv2.imwrite(str(folder / "images" / name), own.grey)
        height, width = own.grey.shape
        images.append(
            {
                "id": len(images) + 1,
                "file_name": name,
                "width": width,
                "height": height,
                "split": "train",
                "case": own.case,
            }
        )
        for box in own.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    document = {
        "info": {"description": "nodules of LIDC-IDRI, pasted into whole slices", "modality": "ct"},
        "images": images,
        "categories": [{"id": 1, "name": "lung nodule"}],
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    print(f"{len(images)} images, {len(annotations)} boxes, {len(nodules)} nodules, {len(slices)} slices")


if __name__ == "__main__":
    main()
