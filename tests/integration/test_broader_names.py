"""Broader names with the embedded weights: cells of a smear, and organs and lesions of a CT slice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from conftest import Medrov
from medrov_cli.core.records.boxes import iou_matrix

EXAMPLES = Path(__file__).parents[2] / "examples"


def objects_of(name: str, classes: set[str]) -> np.ndarray:
    images = json.loads((EXAMPLES / "truth.json").read_text())
    (image,) = [own for own in images if own["path"] == name]
    boxes = [own["box_xyxy"] for own in image["objects"] if own["class"] in classes]
    return np.array(boxes, dtype=np.float64)


def found_share(truth: np.ndarray, record: dict[str, object], name: str) -> float:
    """Return the share of the objects that a detection of a class overlaps by half."""
    detections = record["detections"]
    assert isinstance(detections, list)
    boxes = [own["box_xyxy"] for own in detections if own["class"] == name]
    if not boxes:
        return 0.0
    return float((iou_matrix(truth, np.array(boxes, dtype=np.float64)).max(1) >= 0.5).mean())


def test_cells_of_a_smear(medrov: Medrov) -> None:
    truth = objects_of("blood_smear.png", {"red blood cell", "white blood cell"})
    assert len(truth) > 15
    path = EXAMPLES / "blood_smear.png"
    done = medrov("detect", path, "--classes", "cells, tooth", "--squares", "--precision", "fp32")
    record = json.loads(done.stdout)
    assert done.exit_code == 0
    assert found_share(truth, record, "cells") > 0.9
    assert "'cells' is searched as 'red blood cell', 'white blood cell'" in done.stderr
    assert {own["class"] for own in record["detections"]} == {"cells"}

    literal = medrov("detect", path, "--classes", "cells, tooth", "--squares", "--literal")
    assert "is searched as" not in literal.stderr
    assert found_share(truth, json.loads(literal.stdout), "cells") < 0.5
    assert json.loads(literal.stdout)["model"]["vocabulary_sha256"] != record["model"]["vocabulary_sha256"]


def test_organs_and_lesions_of_a_slice(medrov: Medrov) -> None:
    done = medrov("detect", EXAMPLES / "chest_ct.dcm", "--classes", "organs, lesion", "--conf", "0.3")
    record = json.loads(done.stdout)
    organs = objects_of("chest_ct.dcm", {"heart", "right lung", "left lung"})
    assert found_share(organs, record, "organs") == 1
    assert found_share(objects_of("chest_ct.dcm", {"lung nodule"}), record, "lesion") > 0.6
    assert min(own["score"] for own in record["detections"]) >= 0.3


def test_a_run_is_not_resumed_with_other_kinds(medrov: Medrov, tmp_path: Path) -> None:
    own = ("detect", EXAMPLES / "blood_smear.png", "--classes", "cells", "--output", tmp_path / "out")
    assert medrov(*own).exit_code == 0
    done = medrov(*own, "--literal", "--resume")
    assert done.exit_code == 2
    assert "literal" in done.stderr


def test_eval_searches_broader_names_as_detect_does(medrov: Medrov, tmp_path: Path) -> None:
    source = tmp_path / "smear"
    (source / "images").mkdir(parents=True)
    (source / "images" / "a.png").write_bytes((EXAMPLES / "blood_smear.png").read_bytes())
    truth = objects_of("blood_smear.png", {"red blood cell", "white blood cell"})
    boxes = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in truth.tolist()]
    document = {
        "info": {"modality": "microscopy"},
        "images": [{"id": 1, "file_name": "a.png", "width": 480, "height": 360, "split": "test"}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": n, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for n, box in enumerate(boxes, 1)
        ],
    }
    (source / "annotations.json").write_text(json.dumps(document))
    (tmp_path / "cells.yaml").write_text("name: cells\nroot: .\nsources: [smear]\n")
    scores = {}
    for flag in ("--literal", None):
        given = [flag] if flag else []
        out = tmp_path / f"out{flag}"
        done = medrov("eval", tmp_path / "cells.yaml", "--data-root", tmp_path, "--output", out, *given)
        assert done.exit_code == 0, done.stderr
        report = json.loads((out / "report.json").read_text())
        scores[flag] = report["coco"]["presence"]["classes"]["cell"]["ap50"]
    assert scores[None] > 0.9
    assert scores[None] > scores["--literal"]
