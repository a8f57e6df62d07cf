"""Scales of classes at training: hand-computed medians."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.training.object_scales import ObjectScale, measure_scales


def write_source(
    folder: Path, images: list[dict[str, object]], boxes: list[tuple[int, int, list[int]]]
) -> None:
    folder.mkdir()
    document = {
        "info": {"modality": "histopathology", "licence": "CC0"},
        "categories": [{"id": 1, "name": "nuclei"}, {"id": 2, "name": "gland"}],
        "images": [{"id": number, "file_name": f"{number}.png", **own} for number, own in enumerate(images)],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0}
            for number, (image, category, box) in enumerate(boxes)
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(document))


def test_scales_are_medians_over_images_and_objects(tmp_path: Path) -> None:
    train, val = {"split": "train"}, {"split": "val"}
    write_source(
        tmp_path / "a",
        [
            {"width": 64, "height": 32, **train},  # shown as it is: 0.5 um
            {"width": 128, "height": 64, "mpp": 0.25, **train},  # half as large: 0.5 um
            {"width": 32, "height": 32, "mpp": 4, **train},  # twice as large: 2 um
            {"width": 64, "height": 64, **val},
        ],
        [
            (0, 1, [0, 0, 4, 9]),  # 6 px
            (1, 1, [0, 0, 16, 16]),  # 16 px, 8 in the input
            (2, 1, [0, 0, 2, 2]),  # 2 px, 4 in the input
            (3, 1, [0, 0, 60, 60]),
        ],
    )
    write_source(tmp_path / "b", [{"width": 64, "height": 64, **train}], [(0, 2, [0, 0, 30, 30])])
    path = tmp_path / "data.yaml"
    path.write_text("sources: [{path: a, mpp: 0.5}, b]")
    dataset = load_dataset(path)
    assert dataset.classes == ("nuclei", "gland")
    assert measure_scales(dataset, 64) == (ObjectScale(0.5, 6.0), ObjectScale(None, 30.0))
    assert measure_scales(dataset, 128) == (ObjectScale(0.25, 12.0), ObjectScale(None, 60.0))


@pytest.mark.parametrize("mpp", ["0", "-1", "true", "big", "[1]", ".nan", "1e9"])
def test_a_size_of_pixels_without_sense_is_refused(tmp_path: Path, mpp: str) -> None:
    write_source(tmp_path / "a", [{"width": 64, "height": 64, "split": "train"}], [])
    path = tmp_path / "data.yaml"
    path.write_text("sources: [{path: a, mpp: %s}]" % mpp)  # noqa: UP031 - braces are yaml's
    with pytest.raises(MedrovError, match="mpp"):
        load_dataset(path)
