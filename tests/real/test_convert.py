"""Real sources come through ``medrov data convert`` with every box and every byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SOURCES = ("bccd", "edd2020", "spider_spine")


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_comes_through_unchanged(medrov: Any, shared_data: Path, tmp_path: Path, name: str) -> None:
    folder = shared_data / "omnis-mini" / name
    before = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    about = ("--modality", before["info"]["modality"], "--licence", "see the source")
    done = medrov("data", "convert", folder, "--from", "coco", "-o", tmp_path / "out", *about, "--json")
    assert done.exit_code == 0, done.stderr
    after = json.loads((tmp_path / "out" / "annotations.json").read_text(encoding="utf-8"))
    assert described(after) == described(before)
    stems = {Path(image["file_name"]).stem: image["file_name"] for image in before["images"]}
    for image in after["images"]:
        path = folder / "images" / stems[Path(image["file_name"]).stem]
        assert (tmp_path / "out" / "images" / image["file_name"]).read_bytes() == path.read_bytes()


def described(document: dict[str, Any]) -> dict[str, Any]:
    """Return an image's split and boxes by its stem: whatever the ids are."""
    names = {category["id"]: category["name"] for category in document["categories"]}
    found = {image["id"]: (Path(image["file_name"]).stem, image["split"], []) for image in document["images"]}
    for own in document["annotations"]:
        box = (names[own["category_id"]], *own["bbox"], own["iscrowd"], own["area"])
        found[own["image_id"]][2].append(box)
    return {stem: (split, sorted(boxes)) for stem, split, boxes in found.values()}
