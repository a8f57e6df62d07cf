"""Reliability against sklearn, and score maps and operating points by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.calibration import calibration_curve

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.metrics.calibration import (
    Fold,
    d_ece,
    fit_calibration,
    fit_isotonic,
    fit_platt,
    reliability,
)
from medrov_cli.core.metrics.expected_f1 import (
    DEFAULT_THRESHOLD,
    SmoothCounts,
    smooth_threshold,
    threshold_of,
)
from medrov_cli.core.metrics.operating import (
    SMOOTHING,
    ClassScores,
    Fitted,
    best_f1,
    join_scores,
    limit_absent,
)
from medrov_cli.core.records.score_maps import CalibrationInfo, ClassCalibration
from medrov_cli.core.weights.metadata import WeightsMetadata
from weights_fixtures import metadata

FIT: dict[str, Any] = {"images": 10, "absent_limit": None, "dataset": "d", "split": "val", "imgsz": 320}


def class_scores(
    scores: np.ndarray, is_right: np.ndarray, truths: int, is_absent: np.ndarray | None = None
) -> ClassScores:
    return ClassScores(
        scores, is_right, truths, np.zeros(len(scores), dtype=bool) if is_absent is None else is_absent
    )


def test_a_limit_holds_on_patients_that_the_thresholds_were_not_fitted_on() -> None:
    rng = np.random.default_rng(3)

    def draw(count: int) -> ClassScores:
        """Return right ones with logits around 1, absent ones with logits around -1, as many of each."""
        logit = rng.normal(0, 1, 2 * count) + np.repeat([1.0, -1.0], count)
        right = np.repeat([True, False], count)
        return class_scores(1 / (1 + np.exp(-logit)), right, count, ~right)

    names = [f"class {row}" for row in range(12)]
    parts = [[draw(40) for _ in names] for _ in range(5)]

    def together(chosen: list[int]) -> list[ClassScores]:
        return [join_scores([parts[part][row] for part in chosen]) for row in range(len(names))]

    found = together([0, 1, 2, 3, 4])
    folds = [Fold(together([p for p in range(5) if p != out]), parts[out], 80) for out in range(5)]
    common = {"method": "platt", **FIT, "images": 100, "absent_limit": 0.1}
    others = [draw(40 * 100) for _ in names]  # 2,000 images of the same kind

    def rate_elsewhere(info: CalibrationInfo) -> float:
        pairs = zip(others, info.classes, strict=True)
        return sum(own.absent_from(fitted.threshold) for own, fitted in pairs) / 2000

    by_itself = rate_elsewhere(fit_calibration(names, found, **common))
    by_others = rate_elsewhere(fit_calibration(names, found, folds=folds, **common))
    assert by_itself > 0.15
    assert by_others < 0.13


def test_one_patient_full_of_a_class_does_not_raise_the_thresholds_of_all() -> None:
    rng = np.random.default_rng(0)

    def draw() -> ClassScores:
        right = np.repeat([True, False], 20)
        scores = np.where(right, rng.uniform(0.3, 1.0, 40), rng.uniform(0.0, 0.7, 40))
        return class_scores(scores, right, 20, ~right)

    names = [f"class {row}" for row in range(6)]
    parts = [[draw() for _ in names] for _ in range(5)]
    crowd = class_scores(np.full(60, 0.95), np.zeros(60, dtype=bool), 0, np.ones(60, dtype=bool))

    def fitted(strange: bool) -> list[float]:
        kept = [list(part) for part in parts]
        if strange:
            kept[2][0] = join_scores([kept[2][0], crowd])

        def together(chosen: list[int]) -> list[ClassScores]:
            return [join_scores([kept[part][row] for part in chosen]) for row in range(len(names))]

        folds = [Fold(together([p for p in range(5) if p != out]), kept[out], 80) for out in range(5)]
        options = {"method": "platt", **FIT, "images": 100, "absent_limit": 0.2}
        info = fit_calibration(names, together([0, 1, 2, 3, 4]), folds=folds, **options)
        return [own.threshold for own in info.classes]

    plain, strange = fitted(strange=False), fitted(strange=True)
    assert strange[0] > 0.95, "the class itself is not shown there"
    assert np.mean(strange[1:]) < np.mean(plain[1:]) + 0.05, "the others hardly pay"


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.sampled_from([2, 10, 15]))
def test_reliability_equals_sklearn(seed: int, count: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random(count)
    right = rng.random(count) < scores
    if right.all() or not right.any():
        right[0] = not right[0]
    if len(np.unique(right)) < 2:
        return
    ours = [b for b in reliability(scores, right, bins) if b.count]
    precision, confidence = calibration_curve(right, scores, n_bins=bins, strategy="uniform")
    assert [b.precision for b in ours] == pytest.approx(precision.tolist())
    assert [b.confidence for b in ours] == pytest.approx(confidence.tolist())
    assert sum(b.count for b in ours) == count


def test_d_ece_by_hand() -> None:
    scores = np.array([0.1, 0.2, 0.9, 1.0])
    bins = reliability(scores, np.array([False, True, True, True]), bins=2)
    # Two at 0.15 on average of which half are right, two at 0.95 of which all are.
    assert d_ece(bins) == pytest.approx(0.5 * 0.35 + 0.5 * 0.05)
    assert d_ece(reliability(np.zeros(0), np.zeros(0, dtype=bool))) is None


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 200), st.booleans(), st.sampled_from([fit_isotonic, fit_platt])
)
def test_maps_never_fall_and_stay_within_0_and_1(seed: int, count: int, coarse: bool, fit: object) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random(count).round(1 if coarse else 12)
    raw, calibrated = fit(scores, rng.random(count) < scores**2)
    assert len(raw) == len(calibrated) >= 1
    assert (np.diff(raw) > 0).all()
    assert (np.diff(calibrated) >= 0).all()
    own = ClassCalibration("x", 0.5, 0.5, raw, calibrated)
    values = own.apply(np.linspace(0, 1, 50))
    assert ((values >= 0) & (values <= 1)).all()
    for shown in (0.0, 0.2, 0.5, 0.9, 1.0):
        threshold = own.raw_threshold(shown)
        grid = np.linspace(0, 1, 300)
        above = own.apply(grid) >= shown + 1e-9
        assert (grid[above] >= threshold - 1e-9).all()
        below = own.apply(grid) < shown - 1e-9
        assert (grid[below] < threshold + 1e-9).all()


@pytest.mark.parametrize("fit", [fit_isotonic, fit_platt])
def test_a_fit_makes_an_overconfident_score_honest(fit: object) -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(5000)
    right = rng.random(5000) < scores / 2
    raw, calibrated = fit(scores, right)
    shown = np.interp(scores, raw, calibrated)
    assert d_ece(reliability(scores, right)) > 0.2
    assert d_ece(reliability(shown, right)) < 0.05


@pytest.mark.parametrize("right", [True, False])
def test_one_sided_evidence_gives_a_map_all_the_same(right: bool) -> None:
    _, calibrated = fit_platt(np.array([0.3, 0.6]), np.array([right, right]))
    assert calibrated == ((3 + 0) / 4 if right else 1 / 4,)
    _, level = fit_isotonic(np.array([0.3, 0.6]), np.array([right, right]))
    assert set(level) == {float(right)}


def test_scores_that_fall_with_correctness_give_the_fraction_of_correct_ones() -> None:
    scores = np.array([0.02, 0.03, 0.04, 0.1, 0.15, 0.2])
    _, calibrated = fit_platt(scores, scores < 0.05)
    assert calibrated == ((3 + 1) / (6 + 2),)


def test_best_f1_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.7, 0.1])
    point = best_f1(scores, np.array([True, False, True, True, False]), truths=4)
    assert point.threshold == 0.7  # both of the equal scores: 3 right of 4 shown, of 4 objects
    assert (point.precision, point.recall) == (0.75, 0.75)
    assert point.f1 == pytest.approx(0.75)
    level = np.array([0.9, 0.8, 0.7, 0.6])
    assert best_f1(level, np.array([True, True, False, True]), 3).threshold == 0.6  # 2 * 3 / (4 + 3)
    assert best_f1(level, np.array([True, True, False, False]), 2).threshold == 0.8
    assert best_f1(scores[:0], np.zeros(0, dtype=bool), 3) is None
    assert best_f1(scores, np.zeros(5, dtype=bool), 0) is None


def test_a_smooth_threshold_by_hand() -> None:
    """One object is found at logit 0, and there are false positives at -2: the best is between."""
    own = class_scores(np.array([0.5, *[expit(-2)] * 3]), np.array([True, False, False, False]), 1)
    grid = np.linspace(-6, 2, 801)
    right, wrong = expit((0 - grid) / SMOOTHING), 3 * expit((-2 - grid) / SMOOTHING)
    expected = grid[int((2 * right / (right + wrong + 1)).argmax())]
    found = smooth_threshold(SmoothCounts.of_class(own).f1, 0.01)
    assert np.log(found / (1 - found)) == pytest.approx(expected, abs=0.05)
    assert -1.9 < expected < 0
    assert threshold_of(own) == found, "the typical class of one class is itself"


def test_few_objects_are_pulled_towards_the_typical_class() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(400)
    typical = [class_scores(scores, scores > 0.6, 200) for _ in range(9)]
    lucky = class_scores(np.array([0.95, 0.3, 0.2]), np.array([True, False, False]), 1)
    many = class_scores(np.full(40, 0.2), np.ones(40, dtype=bool), 40)

    def threshold(*classes: ClassScores) -> float:
        names = [str(number) for number in range(len(classes))]
        return fit_calibration(names, classes, method="platt", **FIT).classes[-1].threshold

    together = threshold(*typical)
    assert abs(threshold(*typical, lucky) - together) < abs(threshold_of(lucky) - together)
    assert threshold(*typical, many) == pytest.approx(threshold_of(many), abs=0.03), "forty are enough"


def test_a_class_that_finds_nothing_is_not_shown_from_zero() -> None:
    scores = np.linspace(0.02, 0.9, 45)
    hopeless = class_scores(scores, np.zeros(45, dtype=bool), 10)
    alone = fit_calibration(["hopeless"], [hopeless], method="platt", **FIT)
    assert alone.classes == ()
    assert alone.pooled.threshold == DEFAULT_THRESHOLD
    good = np.linspace(0.02, 1, 100)
    info = fit_calibration(
        ["good", "hopeless"], [class_scores(good, good > 0.5, 50), hopeless], method="platt", **FIT
    )
    own = info.for_name(["hopeless"])
    assert own.name == "hopeless"
    assert own.threshold > 0.3


def test_scores_below_the_floor_take_no_part_in_a_fit() -> None:
    above, right = np.linspace(0.2, 0.9, 30), np.ones(30, dtype=bool)
    below = np.concatenate((above, np.full(4000, 0.005)))
    alone = fit_calibration(["a"], [class_scores(above, right, 30)], method="platt", **FIT)
    info = fit_calibration(["a"], [class_scores(below, np.arange(4030) < 30, 30)], method="platt", **FIT)
    assert info.classes == alone.classes
    assert info.classes[0].calibrated == (round(31 / 32, 6),)
    assert 0.01 <= info.classes[0].threshold < 0.2


def test_scarce_classes_have_the_map_of_all_together() -> None:
    rng = np.random.default_rng(0)
    many, few = rng.random(100), rng.random(5)
    info = fit_calibration(
        ["common", "rare", "nowhere"],
        [
            class_scores(many, many > 0.5, 50),
            class_scores(few, few > 0.9, 2),
            class_scores(few, few > 2, 0),
        ],
        method="isotonic",
        **FIT,
    )
    assert [own.name for own in info.classes] == ["common", "rare"]
    assert info.for_name(["Common"]).name == "common"
    rare = info.for_name(["rare"])
    assert (rare.raw, rare.calibrated) == (info.pooled.raw, info.pooled.calibrated)
    assert info.for_name(["common"]).raw != rare.raw
    assert info.for_name(["nowhere", "other"]) is info.pooled


def test_a_limit_of_absent_false_positives_raises_the_thresholds_that_cost_least() -> None:
    # 40 right of 50 each. "cheap" finds absent objects at low scores alone, "dear" among its best.
    scores = np.linspace(0.3, 0.99, 70)
    right = np.arange(70) >= 30
    low, high = np.arange(70) < 30, (np.arange(70) >= 10) & ~right
    found = [class_scores(scores, right, 50, low), class_scores(scores[::-1], right[::-1], 50, high[::-1])]
    free = fit_calibration(["cheap", "dear"], found, method="platt", **FIT)
    wide = fit_calibration(["cheap", "dear"], found, method="platt", **FIT | {"absent_limit": 9.0})
    assert wide == free, "nothing to do"
    mixed = np.zeros(70, dtype=bool)
    mixed[[35, 69]] = True  # false positives among the right ones
    dear = class_scores(scores, right & ~mixed, 48, mixed)
    found = [class_scores(scores, right, 40, low), dear]
    limited = fit_calibration(["cheap", "dear"], found, method="platt", **FIT | {"absent_limit": 0.1})
    by_name = {own.name: own for own in limited.classes}
    assert by_name["cheap"].threshold <= scores[30], "it has none above, and stays"
    assert scores[35] < by_name["dear"].threshold <= scores[36], "one is dropped, one may stay"
    assert by_name["dear"].f1 == pytest.approx(2 * 33 / (34 + 48))
    rates = sum(own.absent_from(by_name[name].threshold) for name, own in zip(by_name, found, strict=True))
    assert rates / FIT["images"] <= 0.1


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 0.5, 2.0]))
def test_limited_thresholds_keep_the_limit_and_never_fall(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    found, thresholds = [], []
    for _ in range(4):
        count = int(rng.integers(0, 60))
        right = rng.random(count) < 0.4
        found.append(class_scores(rng.random(count).round(2), right, 30, ~right & (rng.random(count) < 0.5)))
        thresholds.append(float(rng.random() / 2))
    limited = limit_absent(Fitted(found, thresholds, 20), limit)
    rate = sum(own.absent_from(t) for own, t in zip(found, limited, strict=True)) / 20
    lowest = sum(own.absent_from(own.scores.max(initial=0)) for own in found) / 20
    assert rate <= max(limit, lowest)
    assert all(new >= old for new, old in zip(limited, thresholds, strict=True))


def test_metadata_keeps_the_calibration() -> None:
    info = fit_calibration(
        ["a"], [class_scores(np.linspace(0, 1, 50), np.linspace(0, 1, 50) > 0.4, 30)],
        method="platt", **FIT,
    )  # fmt: skip
    before = metadata(calibration=info)
    assert WeightsMetadata.from_json(before.to_json(), where="w") == before
    assert WeightsMetadata.from_json(metadata().to_json(), where="w").calibration is None
    old = json.loads(metadata().to_json())
    del old["calibration"]
    assert WeightsMetadata.from_json(json.dumps(old), where="w").calibration is None


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("method", "magic", "calibration.method"),
        ("pooled", None, "calibration.pooled"),
        ("pooled", {"raw": [0.5, 0.5]}, "pooled.raw"),
        ("pooled", {"calibrated": [0.5, 0.4]}, "pooled.calibrated"),
        ("pooled", {"calibrated": [0.5]}, "pooled.calibrated"),
        ("pooled", {"threshold": 1.5}, "pooled.threshold"),
    ],
)
def test_a_damaged_calibration_is_refused(key: str, value: object, says: str) -> None:
    pooled = {"name": "", "threshold": 0.3, "f1": 0.5, "raw": [0.1, 0.9], "calibrated": [0.0, 0.8]}
    own = {"method": "platt", "dataset": "d", "split": "val", "imgsz": 320, "classes": [], "pooled": pooled}
    document = json.loads(metadata().to_json())
    own[key] = pooled | value if isinstance(value, dict) else value
    with pytest.raises(MedrovError) as caught:
        WeightsMetadata.from_json(json.dumps(document | {"calibration": own}), where="w")
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT
    assert says in caught.value.message
