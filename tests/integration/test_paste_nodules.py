"""``examples/paste_nodules.py``: whole slices with nodules, of training images alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.datasets.dataset import load_dataset

SCRIPT = Path(__file__).parents[2] / "examples" / "paste_nodules.py"
LUNG, TISSUE, NODULE = 30, 180, 150


def write_source(folder: Path, images: list[np.ndarray], boxes: list[list[float]]) -> None:
    """Write a source of lung nodules; its last image is of the test split."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
        split = "test" if number == len(images) - 1 else "train"
        rows.append({"id": number, "file_name": f"{number}.png", "split": split, "case": f"case {number}"})
        rows[-1] |= {"height": image.shape[0], "width": image.shape[1]}
    annotations = [
        {"id": row, "image_id": row, "category_id": 1, "bbox": box} for row, box in enumerate(boxes) if box
    ]
    categories = [{"id": 1, "name": "lung nodule"}]
    document = {"images": rows, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))


def crop(radius: int) -> np.ndarray:
    """Return a crop with a round nodule in its middle."""
    image = np.full((120, 120), LUNG, np.uint8)
    image[:, 100:] = TISSUE
    return cv2.circle(image, (50, 60), radius, NODULE, -1)


def whole_slice(width: int) -> np.ndarray:
    """Return a body with two lungs on black air."""
    image = np.zeros((260, 360), np.uint8)
    cv2.ellipse(image, (180, 130), (170, 120), 0, 0, 360, TISSUE, -1)
    for x in (100, 260):
        cv2.ellipse(image, (x, 130), (width, 80), 0, 0, 360, LUNG, -1)
    return image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with the three sources that the script reads."""
    boxes = [[50.0 - r, 60.0 - r, 2.0 * r + 1, 2.0 * r + 1] for r in (8, 16, 30)]
    write_source(tmp_path / "lidc_nodule_crops", [crop(8), crop(16), crop(30)], boxes)
    for name in ("lidc_nodule_slices", "chest_ct_organs"):
        write_source(tmp_path / name, [whole_slice(50), whole_slice(60), whole_slice(20)], [[], [], []])
    return tmp_path


def run(data: Path) -> Path:
    """Run the script; return the folder of its source."""
    command = [sys.executable, str(SCRIPT), str(data), "--count", "12", "--seed", "1"]
    subprocess.run(command, check=True, capture_output=True)
    return data / "lidc_nodule_pasted"


def test_nodules_of_training_images_lie_in_the_lungs_of_training_slices(data: Path) -> None:
    run(data)
    (data / "data.yaml").write_text("name: pasted\nsources: [lidc_nodule_pasted]\n")
    dataset = load_dataset(data / "data.yaml")
    assert [len(dataset.samples[split]) for split in ("train", "val", "test")] == [12, 0, 0]
    assert {sample.case for sample in dataset.samples["train"]} <= {"case 0", "case 1"}
    slices = [whole_slice(50), whole_slice(60)]
    for sample in dataset.samples["train"]:
        image = cv2.imread(str(sample.image_path), cv2.IMREAD_GRAYSCALE)
        base = min(slices, key=lambda own: np.count_nonzero(own != image))
        inside = np.zeros(image.shape, bool)
        for x1, y1, x2, y2 in sample.boxes_xyxy.astype(int):
            inside[y1 - 3 : y2 + 3, x1 - 3 : x2 + 3] = True
            middle = image[(y1 + y2) // 2, (x1 + x2) // 2]
            assert middle > LUNG + 50
            assert base[(y1 + y2) // 2, (x1 + x2) // 2] == LUNG
            assert max(x2 - x1, y2 - y1) <= 24  # the largest training nodule at its size: 33 px * 0.5 * 1.3
        changed = image.astype(int) - base
        assert np.abs(changed[~inside]).max() <= 40  # soft margin of an ellipse only
        assert not changed[base != LUNG].any() or changed[base != LUNG].mean() < 5


def test_the_same_seed_draws_the_same_images(data: Path, tmp_path: Path) -> None:
    first = run(data)
    before = {path.name: path.read_bytes() for path in first.rglob("*.*") if path.is_file()}
    again = run(data)
    assert {path.name: path.read_bytes() for path in again.rglob("*.*") if path.is_file()} == before
