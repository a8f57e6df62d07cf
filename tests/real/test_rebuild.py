"""Twenty-eight real sources, rebuilt by convert, split --repair and merge: check finds nothing."""

from __future__ import annotations

import filecmp
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

RELEASE_1 = 28
"""Sources of release 1, first in the index; later ones are WebP, which `data convert` writes as PNG."""

ONE_COHORT = {"lidc_nodule_crops": "LIDC-IDRI", "lidc_nodule_slices": "LIDC-IDRI"}
"""Sources of the same patients: with one ``--source`` their cases are compared."""

MOVED = {
    "aasce_spine": {"train-test": 3},
    "busi": {"train-val": 2, "train-test": 3, "val-test": 1},
    "chest_ct_organs": {"train-val": 1},
    "isic2018": {"train-val": 1, "train-test": 1},
    "nerve_us": {"train-val": 7},
}
"""Every near-copy behind these was looked at: one patient, lesion or slice seen twice."""

WRITTEN_TWICE = {
    "txl_pbc/txl_2639b362-d782-5df8-99d6-d42f5db182ab.jpg",
    "txl_pbc/txl_4e2139d2-7d0c-56a5-91d5-abfa72c21efa.jpg",
    "txl_pbc/txl_6a5b8c22-30f6-57f7-b780-458a620a9622.jpg",
}
"""A true defect of the source: the same box, to the last digit, twice or three times."""

REPEATED = 37
"""Boxes too many there."""


@pytest.fixture(scope="module")
def originals() -> dict[str, dict[str, Any]]:
    """Return the sources' documents by name."""
    from conftest import SHARED_DATA

    if not SHARED_DATA.is_dir():
        pytest.skip("the real images are not here")
    index = json.loads((SHARED_DATA / "omnis-mini" / "index.json").read_text(encoding="utf-8"))
    files = [SHARED_DATA / "omnis-mini" / own["name"] / "annotations.json" for own in index[:RELEASE_1]]
    return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(files)}


def test_a_rebuilt_dataset_leaks_nowhere_and_is_the_same_but_for_what_was_moved(
    medrov: Any, shared_data: Path, tmp_path: Path, originals: dict[str, dict[str, Any]]
) -> None:
    moved, repeated = {}, 0
    for name, before in originals.items():
        folder = tmp_path / name
        about = ("--modality", before["info"]["modality"], "--licence", "see the source")
        about += ("--source", ONE_COHORT.get(name, name))
        original = shared_data / "omnis-mini" / name
        once = ("--drop-repeats",) if name == "txl_pbc" else ()
        done = medrov("data", "convert", original, "--from", "coco", "-o", folder, "--json", *about, *once)
        assert done.exit_code == 0, done.stderr
        repeated += done.json["repeated_boxes"]
        done = medrov("data", "split", folder, "--repair", "--json")
        assert done.exit_code == 0, done.stderr
        moved[name] = done.json["moved"]["records"]
        after = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
        assert_same_but_for_moves(before, after, moved[name])
        assert_same_files(original / "images", folder / "images", before)
    ways = {name: Counter(f"{one['from']}-{one['to']}" for one in own) for name, own in moved.items() if own}
    assert ways == MOVED

    done = medrov("data", "merge", *(tmp_path / name for name in originals), "-o", tmp_path / "merged")
    assert done.exit_code == 0, done.stderr
    done = medrov("data", "check", tmp_path / "merged" / "dataset.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    assert (done.json["sources"], done.json["images"]) == (RELEASE_1, 7228)
    everything = sum(len(document["annotations"]) for document in originals.values())
    assert done.json["boxes"] == everything - repeated
    assert repeated == REPEATED
    findings = done.json["findings"]
    assert all(found["severity"] == "note" for found in findings)
    notes = {(found["code"], found["where"]) for found in findings}
    assert notes == {("side_unpaired", "left ventricle"), ("side_unpaired", "right ventricle")}


def test_what_is_written_twice_is_written_twice_in_the_source(originals: dict[str, dict[str, Any]]) -> None:
    document = originals["txl_pbc"]
    names = {image["id"]: f"txl_pbc/{image['file_name']}" for image in document["images"]}
    boxes = Counter((names[a["image_id"]], a["category_id"], *a["bbox"]) for a in document["annotations"])
    assert {where for (where, *_), number in boxes.items() if number > 1} == WRITTEN_TWICE
    assert sum(number - 1 for number in boxes.values()) == REPEATED


def assert_same_but_for_moves(
    before: dict[str, Any], after: dict[str, Any], moved: list[dict[str, Any]]
) -> None:
    """Compare images, classes, boxes, cases and splits; ids, file endings and names of cases may differ."""
    old, new = described(before), described(after)
    for record in moved:
        split, *rest = old[Path(record["file_name"]).stem]
        assert split == record["from"]
        old[Path(record["file_name"]).stem] = [record["to"], *rest]
    assert new == old
    assert partition(after) == partition(before)
    assert {c["name"] for c in after["categories"]} == {c["name"] for c in before["categories"]}


def assert_same_files(old: Path, new: Path, before: dict[str, Any]) -> None:
    written = {path.stem: path for path in new.iterdir()}
    assert len(written) == len(before["images"])
    for image in before["images"]:
        name = Path(image["file_name"])
        assert filecmp.cmp(old / name, written[name.stem], shallow=False)


def described(document: dict[str, Any]) -> dict[str, list[Any]]:
    """Return an image's split, size and boxes, each once, by its stem."""
    names = {category["id"]: category["name"] for category in document["categories"]}
    boxes = defaultdict(list)
    for own in document["annotations"]:
        boxes[own["image_id"]].append((names[own["category_id"]], *own["bbox"], own["iscrowd"], own["area"]))
    return {
        Path(image["file_name"]).stem: [
            image["split"],
            image["height"],
            image["width"],
            sorted(set(boxes[image["id"]])),
        ]
        for image in document["images"]
    }


def partition(document: dict[str, Any]) -> set[frozenset[str]]:
    """Return which images are of one case."""
    by_case = defaultdict(set)
    for image in document["images"]:
        stem = Path(image["file_name"]).stem
        by_case[image.get("case") or f"image {stem}"].add(stem)
    return {frozenset(stems) for stems in by_case.values()}
