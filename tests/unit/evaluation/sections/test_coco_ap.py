"""Section ``coco`` of the report, its curve and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from medrov_cli.core.evaluation.reference_ap import verify_with_pycocotools
from medrov_cli.core.evaluation.sections.ap50_interval import ap50_samples, macro_interval
from medrov_cli.core.evaluation.sections.coco_ap import coco_section
from medrov_cli.core.evaluation.sections.precision_recall import precision_recall_section
from scored_splits import four_images

POLYP_AP50 = 56 / 101
"""Precision 1 at the recalls 0 to 0.33 (34 of 101), 2/3 at 0.34 to 0.66 (33), 0 at the other ones."""


def test_figures_by_class_source_and_modality() -> None:
    split = four_images()
    section = coco_section(split, split.is_known)
    assert section["classes"]["polyp"]["ap50"] == pytest.approx(POLYP_AP50)
    assert section["classes"]["polyp"]["ap"] == pytest.approx(POLYP_AP50)  # all boxes are exact
    assert (section["classes"]["polyp"]["truths"], section["classes"]["polyp"]["images"]) == (3, 4)
    assert section["classes"]["nodule"]["ap50"] == 0
    assert section["macro"]["ap50"] == pytest.approx(POLYP_AP50 / 2)
    # Of the second source: the only polyp is found first.
    assert section["sources"]["slides"]["ap50"] == pytest.approx(1)
    assert section["sources"]["slides"]["classes"].keys() == {"polyp"}
    # Of the first one: precision 1 up to recall 1/2 (51 of 101); no nodule is found.
    assert section["sources"]["scopes"]["ap50"] == pytest.approx((51 / 101 + 0) / 2)
    assert section["modalities"].keys() == {"endoscopy", "histopathology"}
    assert section["macro_sources"]["ap50"] == pytest.approx((1 + 51 / 202) / 2)


def test_curve_of_precision_by_recall() -> None:
    curves = precision_recall_section(four_images())
    assert curves["polyp"] == [1.0] * 34 + [0.66667] * 33 + [0.0] * 34
    assert curves["nodule"] == [0.0] * 101


def test_interval_of_equal_samples_is_the_value() -> None:
    samples = ap50_samples(four_images(), np.ones((3, 4)))
    assert samples["polyp"] == pytest.approx([POLYP_AP50] * 3)
    assert macro_interval(samples) == pytest.approx((POLYP_AP50 / 2, POLYP_AP50 / 2))
    assert macro_interval({}) is None


def test_pycocotools_gives_the_same_figures() -> None:
    assert verify_with_pycocotools(four_images()) < 1e-12
