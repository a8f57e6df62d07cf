"""Box maps: geometry that does not depend on the scale of the pixels, and a strict record."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.codec import Fields
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.records.box_maps import BoxMap, read_box_map

SHIFT = BoxMap((-1.0, -1.0), (0.5, 0.5), (*(0.0,) * 8, 0.25, -0.5, np.log(2), np.log(0.5)))
"""To the right by a quarter of the width, up by half of the height; twice as wide and half as high."""

ONE_SIZE = BoxMap((np.log(0.2), np.log(0.2)), (1.0, 1.0), (0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0))
"""Every box gets the sides 0.2 of the image."""

numbers = st.floats(-2, 2)
maps = st.builds(
    BoxMap, st.tuples(numbers, numbers), st.tuples(*(st.floats(0.05, 2),) * 2), st.tuples(*(numbers,) * 12)
)


def boxes_of(seed: int, count: int = 20, least: float = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 80, (count, 2))
    return np.concatenate((corners, corners + rng.uniform(least, 40, (count, 2))), 1)


def test_centre_and_sides_change_by_the_constants() -> None:
    found = SHIFT.apply(np.array([[10.0, 20.0, 30.0, 40.0]]), 100)
    np.testing.assert_allclose(found, [[5.0, 15.0, 45.0, 25.0]])


def test_boxes_of_all_sizes_get_one_size() -> None:
    boxes = boxes_of(0, least=6)
    found = ONE_SIZE.apply(boxes, 100)
    np.testing.assert_allclose(found[:, 2:] - found[:, :2], 20)
    np.testing.assert_allclose(found[:, :2] + found[:, 2:], boxes[:, :2] + boxes[:, 2:])


@given(own=maps, seed=st.integers(0, 1000), scale=st.floats(0.1, 10))
def test_scale_of_the_pixels_does_not_matter(own: BoxMap, seed: int, scale: float) -> None:
    boxes = boxes_of(seed)
    np.testing.assert_allclose(own.apply(boxes * scale, 100 * scale), own.apply(boxes, 100) * scale)
    sides = np.full((len(boxes), 1), 100 * scale)
    np.testing.assert_allclose(own.apply(boxes * scale, sides), own.apply(boxes, 100) * scale)


@given(own=maps, seed=st.integers(0, 1000))
def test_boxes_stay_boxes(own: BoxMap, seed: int) -> None:
    boxes = boxes_of(seed)
    found = own.apply(boxes, 100)
    before, after = boxes[:, 2:] - boxes[:, :2], found[:, 2:] - found[:, :2]
    assert (after > 0).all()
    assert (np.abs(np.log(after / before)) <= 1.5 + 1e-9).all()  # however far from the examples
    assert own.apply(boxes[:0], 100).shape == (0, 4)
    assert np.isfinite(own.apply(np.array([[3.0, 3.0, 3.0, 3.0]]), 100)).all()


@given(own=maps)
def test_record_is_read_back(own: BoxMap) -> None:
    record = {name: list(value) for name, value in dataclasses.asdict(own).items()}
    assert read_box_map(Fields.from_object(record, "file")) == own


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.0]},
        {"mean": None},
        {"deviation": [0.0, 1.0]},
        {"coefficients": [0.0] * 11},
        {"coefficients": [float("nan")] * 12},
        {"coefficients": ["0"] * 12},
        {"coefficients": [True] * 12},
        {"coefficients": [1e9] * 12},
        {"coefficients": 10**400},
        {"coefficients": [10**400] * 12},
    ],
)
def test_other_records_are_refused(change: dict[str, Any]) -> None:
    record = {"mean": [0.0, 0.0], "deviation": [1.0, 1.0], "coefficients": [0.0] * 12, **change}
    with pytest.raises(MedrovError, match="must be a list of") as found:
        read_box_map(Fields.from_object(record, "file"))
    assert found.value.code is ErrorCode.WEIGHTS_CORRUPT
