"""FROC against a brute-force computation that shares nothing with it, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_tables import random_table
from medrov_cli.core.metrics.average_precision import CocoScorer
from medrov_cli.core.metrics.bootstrap import (
    average_precision_samples,
    draw_weights,
    filled,
    interval,
    units_of,
)
from medrov_cli.core.metrics.detection_table import DetectionTable
from medrov_cli.core.metrics.froc import RATES, FrocScorer, curve, sensitivities
from medrov_cli.core.metrics.matching import FOUND, WRONG
from medrov_cli.core.settings.values import HitRule


def brute_force(table: DetectionTable, rule: HitRule, label: int, copies: np.ndarray) -> list[float]:
    """Sensitivity at each rate: every threshold is tried, every image counted as often as it was drawn."""

    def hits(box: np.ndarray, truth: np.ndarray) -> float:
        if rule.iou is None:
            radius = ((truth[2] - truth[0]) + (truth[3] - truth[1])) / 4
            away = math.dist(
                ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
                ((truth[0] + truth[2]) / 2, (truth[1] + truth[3]) / 2),
            )
            return 1 - away / radius if away < radius else 0
        width = min(box[2], truth[2]) - max(box[0], truth[0])
        height = min(box[3], truth[3]) - max(box[1], truth[1])
        inside = width * height if width > 0 and height > 0 else 0
        union = (box[2] - box[0]) * (box[3] - box[1]) + (truth[2] - truth[0]) * (truth[3] - truth[1]) - inside
        value = inside / union if union else 0
        return value if value >= rule.iou else 0

    def tally(threshold: float) -> tuple[float, float]:
        found, wrong = 0.0, 0.0
        for image in range(table.images):
            truths = [
                t
                for t in range(len(table.truth_label))
                if table.truth_image[t] == image and table.truth_label[t] == label
            ]
            rows = [
                d
                for d in range(len(table.label))
                if table.image[d] == image and table.label[d] == label and table.score[d] >= threshold
            ]
            rows.sort(key=lambda d: -table.score[d])
            free = set(truths)
            for row in rows:
                quality = {t: hits(table.xyxy[row], table.truth_xyxy[t]) for t in truths}
                open_ = [t for t in free if quality[t] > 0]
                if open_:
                    free.remove(max(open_, key=lambda t: (quality[t], t)))
                    found += copies[image]
                elif not any(quality.values()):
                    wrong += copies[image]
        return found, wrong

    total = sum(
        copies[table.truth_image[t]] for t in range(len(table.truth_label)) if table.truth_label[t] == label
    )
    points = [tally(threshold) for threshold in [math.inf, *np.unique(table.score)]]
    images = copies.sum()
    return [
        max(found for found, wrong in points if wrong <= rate * images + 1e-9) / total if total else math.nan
        for rate in RATES
    ]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.integers(0, 12),
    st.integers(0, 40),
    st.booleans(),
    st.sampled_from([HitRule(0.5), HitRule(0.2), HitRule(None)]),
)
def test_equal_to_brute_force(
    seed: int, images: int, truths: int, found: int, grid: bool, rule: HitRule
) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(rng, images, 2, truths, found, grid=grid, crowds=False)
    copies = rng.integers(0, 3, images).astype(np.float64)
    events = FrocScorer(table, rule).events(1, np.ones(images, dtype=bool))
    ours = sensitivities(events, np.stack([np.ones(images), copies]))
    assert ours[0].tolist() == pytest.approx(brute_force(table, rule, 1, np.ones(images)), nan_ok=True)
    if copies.sum():
        assert ours[1].tolist() == pytest.approx(brute_force(table, rule, 1, copies), nan_ok=True)


def one_image(found: list[tuple[float, list[float]]]) -> DetectionTable:
    rows = np.zeros(len(found), dtype=np.int64)
    truth = np.array([[10.0, 10, 30, 30]])
    none = np.zeros(1, dtype=np.int64)
    return DetectionTable(
        1, none, none, truth, np.array([400.0]), none > 0, rows, rows,
        np.array([box for _, box in found], dtype=np.float64).reshape(-1, 4), np.array([s for s, _ in found]),
    )  # fmt: skip


def test_a_second_detection_of_a_found_object_is_neither_right_nor_wrong() -> None:
    table = one_image([(0.9, [10, 10, 30, 30]), (0.8, [11, 11, 31, 31]), (0.7, [80, 80, 90, 90])])
    events = FrocScorer(table, HitRule(0.5)).events(0, np.ones(1, dtype=bool))
    assert events.hit_score.tolist() == [0.9]
    assert events.wrong_score.tolist() == [0.7]
    rates, sensitivity = curve(events, 1)
    assert rates.tolist() == [0, 0, 1]
    assert sensitivity.tolist() == [0, 1, 1]


def test_a_hit_below_too_many_false_positives_does_not_count() -> None:
    table = one_image([(0.9, [80, 80, 90, 90]), (0.5, [10, 10, 30, 30])])
    events = FrocScorer(table, HitRule(0.5)).events(0, np.ones(1, dtype=bool))
    assert sensitivities(events, np.ones((1, 1)))[0].tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_equal_scores_are_accepted_together() -> None:
    table = one_image([(0.5, [80, 80, 90, 90]), (0.5, [10, 10, 30, 30])])
    events = FrocScorer(table, HitRule(0.5)).events(0, np.ones(1, dtype=bool))
    assert sensitivities(events, np.ones((1, 1)))[0].tolist() == [0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("text", ["", "iou:0", "iou:1.5", "centre:3", "iou:x", "box"])
def test_rules_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        HitRule.parse(text)


def test_rules_say_their_names() -> None:
    assert [str(HitRule.parse(text)) for text in ("iou", "iou:0.3", "centre")] == [
        "iou:0.5",
        "iou:0.3",
        "centre",
    ]


def test_images_of_a_case_are_drawn_together() -> None:
    units = units_of(["a", None, "a", "b", None])
    assert units.tolist() == [0, 1, 0, 2, 3]
    weights = draw_weights(units, 200, seed=1)
    assert (weights[:, 0] == weights[:, 2]).all()
    drawn = weights[:, [0, 1, 3, 4]].sum(1)
    assert (drawn == 4).all()
    assert len(np.unique(weights, axis=0)) > 25


def test_a_sample_without_objects_keeps_the_estimate() -> None:
    samples = np.array([[0.1, np.nan], [np.nan, 0.4]])
    assert filled(samples, np.array([0.5, 0.6])).tolist() == [[0.1, 0.6], [0.5, 0.4]]


def test_interval_of_known_samples() -> None:
    assert interval(np.append(np.arange(1001.0), np.nan)) == (25.0, 975.0)
    assert interval(np.array([np.nan])) is None


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_average_precision_of_a_sample_is_that_of_the_repeated_images(seed: int, grid: bool) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(rng, 4, 1, 12, 40, grid=grid, crowds=False)
    scorer = CocoScorer(table)
    order = np.argsort(-table.score[scorer.matches.rows], kind="stable")
    rows, status = scorer.matches.rows[order], scorer.matches.status[0, 0][order]
    truths = np.bincount(table.truth_image, minlength=4)
    copies = rng.integers(0, 3, 4).astype(np.float64)
    drawn = average_precision_samples(
        status == FOUND, status == WRONG, table.image[rows], truths, np.stack([np.ones(4), copies])
    )
    assert drawn[0] == pytest.approx(scorer.of_class(0, np.ones(4, dtype=bool)).ap50)
    repeated = [image for image in range(4) for _ in range(int(copies[image]))]
    parts = [(new, image) for new, image in enumerate(repeated)]
    if not copies @ truths:
        assert np.isnan(drawn[1])
        return
    joined = DetectionTable(
        len(parts),
        np.concatenate([np.full((table.truth_image == i).sum(), n) for n, i in parts]),
        np.concatenate([table.truth_label[table.truth_image == i] for _, i in parts]),
        np.concatenate([table.truth_xyxy[table.truth_image == i] for _, i in parts]),
        np.concatenate([table.truth_area[table.truth_image == i] for _, i in parts]),
        np.concatenate([table.is_crowd[table.truth_image == i] for _, i in parts]),
        np.concatenate([np.full((table.image == i).sum(), n) for n, i in parts]),
        np.concatenate([table.label[table.image == i] for _, i in parts]),
        np.concatenate([table.xyxy[table.image == i] for _, i in parts]),
        np.concatenate([table.score[table.image == i] for _, i in parts]),
    )
    if not grid:  # equal scores of repeated images may stand in another order
        assert drawn[1] == pytest.approx(CocoScorer(joined).of_class(0, np.ones(len(parts), dtype=bool)).ap50)
