"""Section ``comparison`` of the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.evaluation.sections.coco_ap import coco_section
from medrov_cli.core.evaluation.sections.comparison import comparison_section, read_other
from scored_splits import FOUND, detections, four_images


def test_difference_of_two_runs() -> None:
    this, other = four_images(), four_images((detections(), *FOUND[1:]))
    reports = [{"coco": {"presence": coco_section(run, run.is_known)}} for run in (this, other)]
    section = comparison_section((reports[0], this), (reports[1], other), np.ones((2, 4)), "other.json")
    difference = 56 / 101 - 34 / 101
    assert section["classes"]["polyp"]["difference"] == pytest.approx(difference)
    assert section["metrics"]["mAP50"]["difference"] == pytest.approx(difference / 2)
    assert section["metrics"]["mAP50"]["interval"] == pytest.approx((difference / 2, difference / 2))
    assert section["metrics"]["CPM"] == {"this": None, "other": None, "difference": None, "interval": None}
    assert (section["with"], section["samples"], section["unit"]) == ("other.json", 2, "image")


@pytest.mark.parametrize("content", ["no json", "{}", json.dumps({"dataset": {"truth_sha256": "other"}})])
def test_a_report_on_other_images_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(MedrovError) as caught:
        read_other(path, four_images(), "val", "this")
    assert caught.value.code is ErrorCode.USAGE
    assert "--compare" in caught.value.message
