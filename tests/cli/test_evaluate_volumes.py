"""``medrov eval`` of volumes: from label volumes to AP in space and FROC per scan, against a brute force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import nibabel as nib
import numpy as np
import pytest

from brute_volumes import Box, Volume, brute_ap, brute_sensitivity
from medrov_cli.core.metrics.bootstrap import draw_weights, units_of
from medrov_cli.core.metrics.froc import RATES

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "medrov.eval-1.schema.json").read_text(encoding="utf-8")
)
SIZE, SLICES, CELL, STEP_MM = 48, 16, 16, 2
"""Volumes of 48 x 48 x 16 voxels, 1 x 1 x 2 mm; at most one object and one finding in a cell of 16 x 16."""
PATIENTS = ("p1-a", "p1-b", "p2-a", "p3-a")
SAMPLES = 6


def draw(rng: np.random.Generator) -> Volume:
    """Return objects and findings of a volume, in mm; findings are shifted objects, or have none."""
    objects: list[Box] = []
    findings: list[tuple[float, Box]] = []
    for column in range(0, SIZE, CELL):
        for row in range(0, SIZE, CELL):
            low = np.array([column + 4, row + 4, int(rng.integers(3, 5))])
            high = low + rng.integers(4, 8, 3)
            if rng.random() < 0.5:
                objects.append(box_mm(low, high))
            if rng.random() < 0.6:
                shift = rng.integers(-3, 4, 3)
                findings.append((round(float(rng.uniform(0.2, 1)), 4), box_mm(low + shift, high + shift)))
    return objects, findings


def box_mm(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any]) -> Box:
    scale = [1, 1, STEP_MM]
    return (*(low * scale).tolist(), *(high * scale).tolist())


@pytest.fixture(scope="module")
def volumes() -> dict[str, Volume]:
    return {name: draw(np.random.default_rng(number)) for number, name in enumerate(PATIENTS)}


@pytest.fixture
def dataset(medrov: Any, tmp_path: Path, volumes: dict[str, Volume]) -> Path:
    """Return a dataset that was converted from label volumes."""
    for name, (objects, _) in volumes.items():
        labels = np.zeros((SIZE, SIZE, SLICES), np.uint8)
        for x1, y1, z1, x2, y2, z2 in objects:
            labels[int(x1) : int(x2), int(y1) : int(y2), int(z1) // STEP_MM : int(z2) // STEP_MM] = 1
        affine = np.diag([1.0, 1, STEP_MM, 1])
        for folder, values in (("images", labels.astype(np.int16) * 100), ("labels", labels)):
            (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(values, affine), tmp_path / "in" / folder / f"{name}.nii.gz")
    options = ("--from", "nifti", "--labels", "1=lung nodule", "--components", "--case", "p[0-9]")
    about = ("--modality", "ct", "--licence", "CC0", "--split", "val")
    done = medrov("data", "convert", tmp_path / "in", "-o", tmp_path / "source", *options, *about, "--json")
    assert done.exit_code == 0, done.stderr
    path = tmp_path / "data.yaml"
    path.write_text("name: volumes\nsources: [source]\n")
    return path


def write_predictions(medrov: Any, dataset: Path, volumes: dict[str, Volume]) -> Path:
    """Write the findings of all volumes as boxes of slices; right and front come first in an image."""
    path = dataset.parent / "predictions.json"
    medrov("eval", dataset, "--split", "val", "--export-truth", path)
    document = json.loads(path.read_text())
    assert len(document["images"]) == len(volumes) * SLICES
    boxes = []
    for number, (_, findings) in enumerate(volumes.values()):
        for score, (x1, y1, z1, x2, y2, z2) in findings:
            for level in range(int(z1) // STEP_MM, int(z2) // STEP_MM):
                boxes.append(
                    {
                        "id": len(boxes) + 1,
                        "image_id": document["images"][number * SLICES + level]["id"],
                        "category_id": document["categories"][0]["id"],
                        "bbox": [SIZE - x2, SIZE - y2, x2 - x1, y2 - y1],
                        "score": score,
                    }
                )
    document["annotations"] = boxes
    path.write_text(json.dumps(document))
    return path


def test_scores_are_those_of_a_brute_force(medrov: Any, dataset: Path, volumes: dict[str, Volume]) -> None:
    predictions = write_predictions(medrov, dataset, volumes)
    options = ("--split", "val", "--bootstrap", SAMPLES)
    done = medrov("eval", dataset, "--predictions", predictions, *options, "--json")
    assert done.exit_code == 0, done.stderr
    jsonschema.Draft202012Validator(SCHEMA).validate(done.json)
    section = done.json["volumes"]
    own = section["classes"]["lung nodule"]
    known = list(volumes.values())
    assert (section["volumes"], section["left_out"]) == (4, 0)
    assert section["bootstrap"] == {"unit": "case", "units": 3, "samples": SAMPLES}
    assert own["truths"] == sum(len(objects) for objects, _ in known)
    assert own["findings"] == sum(len(findings) for _, findings in known)
    weights = draw_weights(units_of([name[:2] for name in PATIENTS]), SAMPLES, 0)
    drawn = [
        [volume for volume, count in zip(known, sample, strict=True) for _ in range(int(count))]
        for sample in weights
    ]
    for iou in (0.1, 0.5):
        assert own["ap"][f"{iou:g}"] == pytest.approx(brute_ap(known, iou), abs=1e-9)
        samples = [brute_ap(sample, iou) for sample in drawn]
        assert own["ap_intervals"][f"{iou:g}"] == pytest.approx(np.percentile(samples, [2.5, 97.5]))
    assert own["sensitivity"] == pytest.approx([brute_sensitivity(known, rate) for rate in RATES])
    assert 0 < own["sensitivity"][0] < own["sensitivity"][-1] < 1  # the case is not trivial
    cpms = [np.mean([brute_sensitivity(sample, rate) for rate in RATES]) for sample in drawn]
    assert own["interval"] == pytest.approx(np.percentile(cpms, [2.5, 97.5]))


def test_boxes_without_objects_are_linked(medrov: Any, dataset: Path, volumes: dict[str, Volume]) -> None:
    """Truth of slices alone, as from a table of boxes, gives the same objects."""
    predictions = write_predictions(medrov, dataset, volumes)
    options = ("--split", "val", "--bootstrap", 0, "--predictions", predictions, "--json")
    stated = medrov("eval", dataset, *options).json["volumes"]
    path = dataset.parent / "source" / "annotations.json"
    document = json.loads(path.read_text())
    assert all("object" in own for own in document["annotations"])
    document["annotations"] = [
        {key: value for key, value in own.items() if key != "object"} for own in document["annotations"]
    ]
    path.write_text(json.dumps(document))
    assert medrov("eval", dataset, *options).json["volumes"] == stated


def test_images_without_volumes_have_no_section(
    medrov: Any, dataset: Path, volumes: dict[str, Volume]
) -> None:
    """A volume without positions is counted and named; without any volume the section is null."""
    predictions = write_predictions(medrov, dataset, volumes)
    options = ("--split", "val", "--bootstrap", 0, "--predictions", predictions, "--json")
    path = dataset.parent / "source" / "annotations.json"
    document = json.loads(path.read_text())
    for image in document["images"]:
        image["volume"] = {key: image["volume"][key] for key in ("id", "slice")}
    path.write_text(json.dumps(document))
    done = medrov("eval", dataset, *options)
    assert (done.json["volumes"]["volumes"], done.json["volumes"]["left_out"]) == (0, 4)
    assert "4 volume(s) are not scored in space" in done.stderr
    for image in document["images"]:
        del image["volume"]
    path.write_text(json.dumps(document))
    assert medrov("eval", dataset, *options).json["volumes"] is None


def test_a_volume_of_another_form_is_refused(medrov: Any, dataset: Path) -> None:
    path = dataset.parent / "source" / "annotations.json"
    document = json.loads(path.read_text())
    document["images"][0]["volume"]["spacing_mm"] = [0, 1]
    path.write_text(json.dumps(document))
    done = medrov("eval", dataset, "--split", "val", "--export-truth", dataset.parent / "t.json")
    assert done.exit_code == 4
    assert "invalid plane" in done.stderr
