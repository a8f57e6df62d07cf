"""Windows, ranges and lookup tables on arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.pixels.greyscale import (
    LookupTable,
    VoiFunction,
    apply_range,
    apply_window,
    map_values,
    percentile_range,
)

stored = st.lists(st.integers(-40_000, 40_000), min_size=1, max_size=50)
centers = st.floats(-5000, 5000)
widths = st.floats(1, 10_000)
functions = st.sampled_from(VoiFunction)


def test_linear_is_the_formula_of_the_standard() -> None:
    # PS3.3 C.11.2.1.2.1, its example: c = 2048, w = 4096 maps 0 to 0 and 4095 to 255.
    values = np.array([-1, 0, 1024, 2048, 4095, 5000])
    # 1024: ((1024 - 2047.5) / 4095 + 0.5) * 255 = 63.77; 2048: (0.5 / 4095 + 0.5) * 255 = 127.53
    assert apply_window(values, 2048, 4096).tolist() == [0, 0, 64, 128, 255, 255]


def test_linear_of_width_one_is_a_threshold() -> None:
    assert apply_window(np.array([99, 100, 101]), 100, 1).tolist() == [0, 255, 255]


def test_linear_exact_has_no_half_steps() -> None:
    values = np.array([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])
    assert apply_window(values, 0.5, 1, VoiFunction.LINEAR_EXACT).tolist() == [0, 0, 64, 128, 255, 255]


def test_sigmoid() -> None:
    # 255 / (1 + exp(-4 * (x - c) / w)) at x = c - w, c, c + w: 4.59, 127.5 (to even), 250.4
    assert apply_window(np.array([0, 100, 200]), 100, 100, VoiFunction.SIGMOID).tolist() == [5, 128, 250]


def test_not_a_number_is_black_and_infinities_are_the_ends() -> None:
    values = np.array([np.nan, -np.inf, np.inf])
    assert apply_range(values, 0, 10).tolist() == [0, 0, 255]


def test_a_range_without_extent_is_black() -> None:
    assert apply_range(np.array([7, 7]), 7, 7).tolist() == [0, 0]


@given(stored, centers, widths, functions)
def test_windowing_never_reverses_an_order(
    values: list[int], center: float, width: float, function: VoiFunction
) -> None:
    grey = apply_window(np.sort(np.array(values)), center, width, function)
    assert (np.diff(grey.astype(int)) >= 0).all()


@given(stored, centers, widths, functions)
def test_a_table_gives_what_the_pixels_give(
    values: list[int], center: float, width: float, function: VoiFunction
) -> None:
    image = np.array(values * 2000, dtype=np.int32)
    chain = lambda part: apply_window(part, center, width, function)  # noqa: E731
    assert (map_values(image, chain) == chain(image)).all()


def test_unsigned_integers_of_64_bits_are_mapped() -> None:
    image = np.arange(4000, dtype=np.uint64) % np.uint64(200) + np.uint64(2**63)
    chain = lambda part: (part % np.uint64(256)).astype(np.uint8)  # noqa: E731
    assert (map_values(image, chain) == chain(image)).all()


@given(st.integers(-1000, 1000), st.integers(1, 5000))
def test_ends_of_a_range_are_black_and_white(low: int, extent: int) -> None:
    assert apply_range(
        np.array([low - 1, low, low + extent, low + extent + 1]), low, low + extent
    ).tolist() == [0, 0, 255, 255]


def test_lookup_clamps_to_its_first_and_last_entry() -> None:
    table = LookupTable(np.array([10, 20, 30], dtype=np.uint16), first_mapped=-1, bits=8)
    assert table.apply(np.array([-5, -1, 0, 1, 9])).tolist() == [10, 10, 20, 30, 30]


def test_percentiles_leave_outliers_out() -> None:
    values = np.concatenate([np.arange(1000), [60_000]]).astype(np.uint16)
    low, high = percentile_range(values)
    assert (low, high) == pytest.approx((5.0, 995.0))


def test_percentiles_that_coincide_give_way_to_the_range() -> None:
    values = np.zeros(1000, dtype=np.uint16)
    values[0] = 9
    assert percentile_range(values) == (0, 9)


def test_statistics_without_a_finite_value() -> None:
    assert percentile_range(np.array([np.nan, np.inf])) == (0, 0)
