"""Sentences about a class: what its validation and the size of its examples say."""

from __future__ import annotations

import numpy as np
import pytest

from medrov_cli.core.learning.class_warnings import warnings_of
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.weights.learned_file import LearnedClass, Validation


def record(validation: Validation | None) -> LearnedClass:
    calibration = ClassCalibration("stone", 0.25, 0.5, (0.0, 1.0), (0.0, 1.0))
    return LearnedClass("stone", 3, 4, 0, 1, "both", calibration, validation)


def boxes_of(side: float) -> np.ndarray:
    return np.array([[0, 0, side / 2, side * 2], [5, 5, 5 + side, 5 + side], [0, 0, 300, 300]])


@pytest.mark.parametrize(
    ("side", "imgsz", "hint"),
    [(16.0, 352, None), (12.0, 352, 704), (8.0, 352, 960), (0.0, 352, 960), (5.0, 960, None)],
)
def test_small_examples_get_a_larger_model_input(side: float, imgsz: int, hint: int | None) -> None:
    found = warnings_of(record(Validation(2, 0.5, 0.5, 0.1)), boxes_of(side), imgsz, validates=True)
    if hint is None:
        assert found == ()
    else:
        assert f"are {side:.0f} pixels wide" in found[0]
        assert f"--imgsz {hint} " in found[0]


def test_no_example_says_nothing_about_sizes() -> None:
    assert warnings_of(record(Validation(2, 0.5, 0.5, 0.1)), np.zeros((0, 4)), 352, validates=True) == ()


@pytest.mark.parametrize(
    ("validation", "validates", "said"),
    [
        (None, False, []),
        (None, True, ["not validated"]),
        (Validation(2, 0.05, 0.1, 0.01), True, ["hardly found"]),
        (Validation(2, 0.3, 0.3, 0.4), True, ["the name as text finds more"]),
        (Validation(2, 0.3, 0.3, 0.2), True, []),
    ],
)
def test_validation_is_put_into_words(
    validation: Validation | None, validates: bool, said: list[str]
) -> None:
    found = warnings_of(record(validation), boxes_of(50), 352, validates=validates)
    assert len(found) == len(said)
    assert all(words in sentence for words, sentence in zip(said, found, strict=True))
