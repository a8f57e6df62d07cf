"""Scaling of parts of images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.records.image_regions import HALVED_FROM, resize, resize_by_halves


def smooth_image(height: int, width: int) -> np.ndarray:
    """Return an image of slow changes, uint8, (height, width, 3)."""
    rows, columns = np.mgrid[:height, :width]
    grey = 127 + 100 * np.sin(rows / 40) * np.cos(columns / 50)
    return np.stack((grey, 255 - grey, grey / 2), axis=2).astype(np.uint8)


@given(height=st.integers(64, 200), width=st.integers(64, 200), ratio=st.floats(1.0, 16.0))
def test_halving_first_gives_the_means_of_the_area(height: int, width: int, ratio: float) -> None:
    image = smooth_image(height, width)
    size = (max(1, int(height / ratio)), max(1, int(width / ratio)))
    direct, halved = resize(image, size), resize_by_halves(image, size)
    assert halved.shape == (*size, 3)
    assert (
        np.abs(direct.astype(int) - halved).max() <= 6
    )  # half a pixel of an edge of odd sides, and rounding


def test_an_image_that_becomes_less_than_four_times_smaller_is_not_halved() -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    size = (120 // HALVED_FROM + 1, 160 // HALVED_FROM + 1)
    np.testing.assert_array_equal(resize_by_halves(image, size), resize(image, size))


@pytest.mark.parametrize("side", [128, 1024])
def test_squares_of_even_pixels_keep_their_means(side: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    halved = resize_by_halves(image, (side // 8, side // 8))
    means = image.reshape(side // 8, 8, side // 8, 8, 3).mean((1, 3))
    assert np.abs(halved - means).max() <= 1.0


@given(
    height=st.integers(8, 300), width=st.integers(8, 300), ratio=st.floats(0.5, 12.0), seed=st.integers(0, 99)
)
def test_one_channel_of_a_grey_image_gives_the_same_pixels(
    height: int, width: int, ratio: float, seed: int
) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (height, width, 1), dtype=np.uint8)
    image = np.ascontiguousarray(np.repeat(grey, 3, axis=2))
    size = (max(1, int(height / ratio)), max(1, int(width / ratio)))
    for scale in (resize, resize_by_halves):
        np.testing.assert_array_equal(scale(image, size, is_grey=True), scale(image, size))
