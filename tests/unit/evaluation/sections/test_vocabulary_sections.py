"""Sections ``open_vocabulary``, ``nms_ap`` and ``synonyms`` of the report."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from medrov_cli.core.evaluation.sections.nms_ap import nms_section
from medrov_cli.core.evaluation.sections.open_vocabulary import open_vocabulary_section
from medrov_cli.core.evaluation.sections.synonyms import synonyms_section
from medrov_cli.core.records.detections import Detections
from scored_splits import FOUND, NODULE, POLYP, A, B, detections, four_images


def test_base_novel_and_harmonic_mean() -> None:
    figures = {"polyp": {"ap": 0.5, "ap50": 0.6}, "nodule": {"ap": 0.25, "ap50": None}}
    assert open_vocabulary_section(four_images(), figures) is None
    section = open_vocabulary_section(four_images(novel=(NODULE,)), figures)
    assert section == {
        "base": {"classes": 1, "ap": 0.5, "ap50": 0.6},
        "novel": {"classes": 1, "ap": 0.25, "ap50": None},
        "harmonic": {"ap": pytest.approx(1 / 3), "ap50": None},
    }


def test_suppression_across_classes_removes_the_lower_label_of_an_object() -> None:
    # Both polyps of the first source and that of the second are found, but one under a better nodule.
    found = (
        detections((A, 0.9, POLYP), (A, 0.95, NODULE), (B, 0.8, NODULE)),
        detections((A, 0.7, POLYP)),
        detections((A, 0.6, POLYP)),
        detections(),
    )
    # Nodule: the false positive at 0.95 halves the precision, before and after. Polyp: 1 before; after it
    # two of three are found without a false positive: 67 of 101 recalls.
    section = nms_section(four_images(found), {"ap": 0.75, "ap50": 0.75})
    assert section["iou"] == 0.5
    assert section["ap50"] == pytest.approx((0.5 + 67 / 101) / 2)
    assert section["ap50_drop"] == pytest.approx(0.75 - (0.5 + 67 / 101) / 2)
    assert nms_section(four_images(found), {"ap": None, "ap50": None})["ap_drop"] is None


def test_synonyms_are_searched_one_name_per_pass() -> None:
    passes: list[list[str]] = []
    worse = (detections(), *FOUND[1:])

    def detect(texts: Sequence[str], number: int) -> Sequence[Detections]:
        passes.append(list(texts))
        return (FOUND, worse)[number]

    section = synonyms_section(four_images(), [("polyp", "growth"), ("nodule",)], detect)
    assert passes == [["polyp", "nodule"], ["growth", "nodule"]]
    # Without the first image's detections: one of three found, 34 of 101 recalls with precision 1.
    growth, polyp = 34 / 101, 56 / 101
    assert section["classes"]["polyp"]["names"] == pytest.approx({"polyp": polyp, "growth": growth})
    assert section["classes"]["polyp"]["spread"] == pytest.approx(polyp - growth)
    assert section["kept"] == pytest.approx(growth / polyp)
    assert section["classes"]["nodule"]["names"] == {"nodule": 0}
