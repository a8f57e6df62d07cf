"""Sections of the report that depend on thresholds: FROC, calibration, operating points, errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medrov_cli.core.evaluation.sections.absent_classes import absent_section
from medrov_cli.core.evaluation.sections.calibration_error import calibration_section
from medrov_cli.core.evaluation.sections.confusion import confusion_section
from medrov_cli.core.evaluation.sections.froc_sensitivity import froc_section
from medrov_cli.core.evaluation.sections.operating_points import limit_warnings, operating_points
from medrov_cli.core.evaluation.sections.sizes import sizes_section
from medrov_cli.core.metrics.error_analysis import outcome_of
from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration
from medrov_cli.core.settings.values import HitRule
from scored_splits import four_images


def test_froc_of_a_class_on_the_images_that_annotate_it() -> None:
    section = froc_section(four_images(), HitRule(), np.zeros((0, 4)))
    polyp, nodule = section["classes"]["polyp"], section["classes"]["nodule"]
    # Of 4 images: no false positive is allowed at 0.125, one at 0.25, both at the other rates.
    assert polyp["sensitivity"] == pytest.approx([1 / 3] + [2 / 3] * 6)
    assert polyp["cpm"] == pytest.approx(13 / 21)
    assert (polyp["truths"], polyp["images"]) == (3, 4)
    assert (nodule["truths"], nodule["images"], nodule["cpm"]) == (1, 2, 0)
    assert polyp["interval"] is None
    assert section["mean"]["cpm"] == pytest.approx(13 / 42)
    assert section["hit"] == "iou:0.5"
    assert polyp["curve"]["false_positives_per_image"] == [0, 0, 0.25, 0.25, 0.5]


def test_calibration_error_is_the_mean_gap_of_score_and_precision() -> None:
    section = calibration_section(four_images(), None)
    # Each detection is alone in its bin: true at 0.95 and 0.75, false at 0.85, 0.65 and 0.55.
    assert section["d_ece"] == pytest.approx((0.05 + 0.25 + 0.85 + 0.65 + 0.55) / 5)
    assert section["raw_d_ece"] == section["d_ece"]
    assert (section["detections"], section["scores"]) == (5, "raw")
    assert section["classes"]["nodule"] == {"d_ece": pytest.approx(0.55), "detections": 1}


def test_operating_points_without_a_calibration_have_the_best_f1() -> None:
    thresholds, section = operating_points(four_images(), None)
    assert thresholds == pytest.approx([0.75, 0.55])
    polyp = dict(section["classes"]["polyp"])
    assert polyp.pop("without_limit") is None
    assert polyp == pytest.approx(
        {"threshold": 0.75, "f1": 2 / 3, "precision": 2 / 3, "recall": 2 / 3, "best_f1": 2 / 3}
    )
    assert section["macro_f1"] == section["best_macro_f1"] == pytest.approx(1 / 3)  # no nodule is found
    assert section["origin"] == "best F1 on these images"
    assert limit_warnings(section) == []


def test_a_limit_on_absent_classes_states_what_it_costs() -> None:
    raised = ClassCalibration("polyp", 0.9, 0.5, (0.0, 1.0), (0.0, 1.0), free_threshold=0.75)
    calibration = CalibrationInfo("platt", "data", "val", 64, (raised,), replace(raised, name=""))
    _, section = operating_points(four_images(), calibration)
    polyp = section["classes"]["polyp"]
    # From 0.9 one of three polyps is found, without a false positive; from 0.75 two, with one.
    assert (polyp["recall"], polyp["precision"], polyp["f1"]) == pytest.approx((1 / 3, 1, 1 / 2))
    assert polyp["without_limit"] == pytest.approx(
        {"threshold": 0.75, "f1": 2 / 3, "precision": 2 / 3, "recall": 2 / 3}
    )
    assert limit_warnings(section) == [
        "the limit on absent classes costs more than 5 points of F1 in 1 class(es): polyp (17)"
    ]


def test_absent_classes_count_where_they_are_known_to_be_absent() -> None:
    section = absent_section(four_images(), np.array([0.75, 0.55]))
    polyp, nodule = section["classes"]["polyp"], section["classes"]["nodule"]
    assert (polyp["images"], nodule["images"]) == (1, 3)
    assert polyp["at_operating_point"] == 0
    assert nodule["at_operating_point"] == pytest.approx(1 / 3, abs=1e-6)
    assert section["at_operating_points"] == 0.25
    assert section["thresholds"][0] == 0.05
    assert section["false_positives_per_image"][0] == 0.5  # a polyp and a nodule in four images


def test_confusion_and_sizes_at_the_operating_points() -> None:
    split = four_images()
    outcome = outcome_of(split.table, split.scored, np.array([0.75, 0.55]))
    section = confusion_section(split, outcome, "given")
    assert section["labels"] == ["polyp", "nodule", "background"]
    assert section["counts"] == [[2, 0, 1], [1, 0, 0], [0, 1, 0]]
    sizes = sizes_section(split, outcome)
    place = sizes["edges_px"].index(16)  # all boxes have sides of 20 pixels
    assert [sizes[key][place] for key in ("truths", "found", "false_positives")] == [4, 2, 2]
    assert [sum(sizes[key]) for key in ("truths", "found", "false_positives")] == [4, 2, 2]
    assert sizes["edges_px"][-1] is None
