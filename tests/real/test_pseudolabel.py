"""``medrov pseudolabel`` on real images: boxes that are hidden from a source are found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import SHARED_DATA, Medrov
from medrov_cli.core.records.boxes import iou_matrix, xywh_to_xyxy

pytestmark = pytest.mark.slow

SOURCES = SHARED_DATA / "omnis-mini"
HIDDEN = "white blood cell"
IMAGES = 24

if not SOURCES.is_dir():
    pytest.skip("the real images are not here", allow_module_level=True)


def small_source(folder: Path, name: str, hidden: str | None = None) -> list[dict[str, Any]]:
    """Write the first training images of a source, without a class; return the boxes that are left out."""
    document = json.loads((SOURCES / name / "annotations.json").read_text(encoding="utf-8"))
    train = [image for image in document["images"] if image["split"] == "train"]
    document["images"] = train[:IMAGES]
    ids = {image["id"] for image in document["images"]}
    names = {category["id"]: category["name"] for category in document["categories"]}
    own = [a for a in document["annotations"] if a["image_id"] in ids]
    document["annotations"] = [a for a in own if names[a["category_id"]] != hidden]
    document["categories"] = [c for c in document["categories"] if c["name"] != hidden]
    (folder / name).mkdir()
    (folder / name / "annotations.json").write_text(json.dumps(document))
    return [a for a in own if names[a["category_id"]] == hidden]


def test_hidden_cells_are_found_again(run_medrov: Medrov, tmp_path: Path) -> None:
    truth = small_source(tmp_path, "bccd", HIDDEN)
    small_source(tmp_path, "txl_pbc")
    (tmp_path / "cells.yaml").write_text(
        "presence: presence.csv\nsources:\n"
        + "".join(f"- {{path: {n}, images: {SOURCES / n / 'images'}}}\n" for n in ("bccd", "txl_pbc"))
    )
    (tmp_path / "presence.csv").write_text(f"dataset,{HIDDEN}\nbccd,0\ntxl_pbc,1\n")
    done = run_medrov(
        "pseudolabel", tmp_path / "cells.yaml", "--score", 0.3, "--flip", "-o", tmp_path / "out",
        "--review", tmp_path / "review.html", "--json", env={"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert done.json["images"] == IMAGES
    document = json.loads((tmp_path / "out" / "bccd" / "annotations.json").read_text())
    added = [a for a in document["annotations"] if a.get("source") == "pseudo"]
    assert {a["category_id"] for a in added} == {document["categories"][-1]["id"]}
    hits = 0
    for image in document["images"]:
        own, real = (
            xywh_to_xyxy(np.array([a["bbox"] for a in group if a["image_id"] == image["id"]]).reshape(-1, 4))
            for group in (added, truth)
        )
        hits += int((iou_matrix(own, real) >= 0.5).any(1).sum()) if len(own) and len(real) else 0
    assert len(truth) >= IMAGES / 2
    assert hits / len(added) >= 0.9
    assert hits / len(truth) >= 0.7
    assert (tmp_path / "review.html").stat().st_size > 1000 * len(added)
