"""Thresholds and maps by class, with numbers computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.box_maps import BoxMap
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.settings.groups import DEFAULT_CONF
from medrov_cli.core.weights.metadata import ClassEntry
from weights_fixtures import made_up_calibration, metadata

WEIGHTS = metadata(
    vocabulary=(ClassEntry("lung nodule", ("lung nodule", "nodule")), ClassEntry("red blood cell")),
    calibration=made_up_calibration(),
)
NAMES = [("Lung Nodule",), ("spot", "NODULE"), ("red blood cell",), ("polyp",)]


def scoring(conf: float | None = None, *, raw_scores: bool = False, weights: Any = WEIGHTS) -> Scoring:
    return Scoring.from_metadata(NAMES, weights, conf=conf, raw_scores=raw_scores)


def test_boxes_are_mapped_by_the_map_of_their_class() -> None:
    wider = BoxMap((0.0, 0.0), (1.0, 1.0), (*(0.0,) * 10, math.log(2), 0.0))
    own = made_up_calibration()
    first = replace(own.classes[0], box_map=wider)
    weights = metadata(
        vocabulary=WEIGHTS.vocabulary, calibration=replace(own, classes=(first, *own.classes[1:]))
    )
    boxes = np.array([[10.0, 0.0, 20.0, 8.0], [10.0, 0.0, 20.0, 8.0]])
    for raw_scores in (False, True):
        found = scoring(raw_scores=raw_scores, weights=weights).mapped(boxes, np.array([2, 0]), 32)
        np.testing.assert_allclose(found, [boxes[0], [5, 0, 25, 8]])
    assert boxes[1].tolist() == [10, 0, 20, 8]  # nothing changes its inputs
    own = scoring(weights=weights)
    near = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 9], [0, 0, 10, 4]], np.float64)
    kept = own.distinct(near, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([2, 0, 2, 0, 0]))
    assert kept.tolist() == [0, 1, 2, 4]  # class 2 has no map
    assert scoring().distinct(near, np.ones(5), np.zeros(5, np.int64)).tolist() == [0, 1, 2, 3, 4]
    assert scoring().mapped(boxes, np.array([2, 0]), 32) is boxes


def test_each_class_has_its_operating_point() -> None:
    for raw_scores in (False, True):
        own = scoring(raw_scores=raw_scores)
        assert own.thresholds.tolist() == [0.4, 0.4, 0.1, 0.25]
        assert own.kind == ("raw" if raw_scores else "calibrated")
        assert own.warnings == ("no operating point; shown from a raw score of 0.25: 'polyp'",)


def test_a_class_of_the_weights_that_was_too_rare_has_the_threshold_of_all_classes() -> None:
    weights = metadata(vocabulary=(ClassEntry("polyp"),), calibration=made_up_calibration())
    own = Scoring.from_metadata([("Polyp",)], weights, conf=None, raw_scores=False)
    assert (own.thresholds.tolist(), own.warnings) == ([0.3], ())


def test_a_warning_names_five_classes() -> None:
    names = [(f"class {number}",) for number in range(7)]
    own = Scoring.from_metadata(names, WEIGHTS, conf=None, raw_scores=False)
    assert own.warnings[0].endswith("'class 0', 'class 1', 'class 2', 'class 3', 'class 4' and 2 more")
    assert Scoring.from_metadata(names, WEIGHTS, conf=0.1, raw_scores=False).warnings == ()


def test_conf_is_in_the_unit_of_the_shown_score() -> None:
    # Nodules are halved: 0.25 is 0.5; the others go from 0.2 to 0.6: a quarter of the way is 0.3.
    assert scoring(0.25).thresholds.tolist() == pytest.approx([0.5, 0.5, 0.3, 0.3])
    assert scoring(0.25, raw_scores=True).thresholds.tolist() == [0.25] * 4


def test_a_score_that_no_detection_reaches_shows_none() -> None:
    thresholds = scoring(0.75).thresholds
    assert thresholds[0] > 1
    assert thresholds[2] == pytest.approx(0.5)


def test_shown_maps_each_class_by_its_own() -> None:
    before = np.array([0.8, 0.8, 0.4, 0.1, 0.9])
    labels = np.array([0, 1, 2, 2, 3])
    assert scoring().shown(before, labels).tolist() == pytest.approx([0.4, 0.4, 0.5, 0.0, 1.0])
    assert scoring(raw_scores=True).shown(before, labels).tolist() == before.tolist()
    assert before.tolist() == [0.8, 0.8, 0.4, 0.1, 0.9]  # nothing changes its inputs
    assert scoring().shown(before[:0], labels[:0]).shape == (0,)


@pytest.mark.parametrize("raw_scores", [False, True])
def test_weights_without_calibration_show_raw_scores(raw_scores: bool) -> None:
    own = scoring(raw_scores=raw_scores, weights=metadata())
    assert (own.kind, own.thresholds.tolist()) == ("raw", [DEFAULT_CONF] * 4)
    assert scoring(0.6, weights=metadata()).thresholds.tolist() == [0.6] * 4


@given(st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_detection_is_shown_where_its_shown_score_is_high_enough(conf: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    knots = rng.integers(1, 6)
    raw = np.unique(rng.random(knots).round(3))
    calibrated = np.sort(rng.random(len(raw)).round(1))  # plateaus too
    own = ClassCalibration("", 0.5, 0.5, tuple(raw.tolist()), tuple(calibrated.tolist()))
    scores = rng.random(200)
    shown = own.apply(scores)
    is_clear = np.abs(shown - conf) > 1e-9  # beside the rounding of the interpolation
    np.testing.assert_array_equal((scores >= own.raw_threshold(conf))[is_clear], (shown >= conf)[is_clear])
