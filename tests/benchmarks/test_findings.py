"""The figures of ``benchmarks/findings.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import findings
import findings_planes
import result_cost


def test_exact_boxes_of_phantoms_are_found_exactly(script: Any) -> None:
    """Each object is one finding whose sides are those of the object."""
    done = script(findings, "phantoms", "--count", 2, "--size", 64)
    exact, exact_planes, linked, planes, union = (
        row.strip("| ").split(" | ") for row in done.stdout.splitlines()[2:]
    )
    assert exact[2:] == ["1.00", "1.00", "0", "0.0", "0.0", "0.0"]
    assert exact_planes[2:5] == ["1.00", "1.00", "0"]
    assert float(linked[5]) < float(union[5])
    assert float(planes[5]) < float(union[5])


def test_findings_are_compared_with_the_box_of_a_label_volume(script: Any, tmp_path: Path) -> None:
    mask = np.zeros((10, 10, 10), np.uint8)
    mask[2:5, 3:7, 4:6] = 1
    nib.save(nib.Nifti1Image(mask, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "liver.nii.gz")
    box = [-9.0, -13.0, 7.0, -3.0, -5.0, 11.0]  # voxels 2 to 4 are at 4 to 8 mm in RAS, -8 to -4 in LPS
    far = [50.0, 50.0, 50.0, 60.0, 60.0, 60.0]
    rows = [{"class": "liver", "box_mm": box}, {"class": "liver", "box_mm": far}]
    (tmp_path / "findings.json").write_text(json.dumps({"volumes": [{"findings": rows}]}))
    done = script(findings, "masks", tmp_path / "findings.json", f"liver={tmp_path / 'liver.nii.gz'}")
    linked, union = (row.strip("| ").split(" | ") for row in done.stdout.splitlines()[2:])
    assert linked[1:] == ["1", "1.00", "0.50", "0", "0.0", "0.0", "0.0"]
    assert union[2] == "0.00"


def test_a_detector_is_measured_in_one_plane_and_in_three(script: Any, weights: Path) -> None:
    done = script(findings_planes, "--count", 1, "--size", 64, "--slices", 4, "--weights", weights)
    one, three = (row.strip("| ").split(" | ") for row in done.stdout.splitlines()[2:4])
    assert one[1] == three[1] != "0"


@pytest.mark.slow
def test_the_cost_of_results_is_a_table(script: Any, weights: Path) -> None:
    done = script(result_cost, "--slices", 3, "--size", 64, "--rounds", 1, "--weights", weights, "--planes")
    rows = [row.strip("| ").split(" | ")[0] for row in done.stdout.splitlines()[2:6]]
    assert rows == ["not linked", "linked", "linked, SR and GSPS", "three planes"]
