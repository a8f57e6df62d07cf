"""The letterbox: there and back, and pixels where boxes say they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.records.letterbox import (
    PAD_VALUE,
    Letterbox,
    rectangle_hw,
    rectangle_sides,
    rectangle_sizes,
)

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.sampled_from([32, 320, 352, 640]), st.booleans(), st.integers(0, 1000))
def test_round_trip(height: int, width: int, size: int, rectangle: bool, seed: int) -> None:
    letterbox = Letterbox.fit((height, width), size, rectangle=rectangle)
    corners = np.sort(np.random.default_rng(seed).random((5, 2, 2)), axis=1) * [width, height]
    boxes = corners.reshape(5, 4)
    model = letterbox.to_model(boxes)
    assert (model >= -1e-6).all()
    assert (model <= np.tile(letterbox.input_hw[::-1], 2) + 1e-6).all()
    np.testing.assert_allclose(letterbox.to_source(model), boxes, atol=1e-6 * max(height, width))


def test_by_hand() -> None:
    letterbox = Letterbox.fit((100, 200), 320)
    assert (letterbox.content_hw, letterbox.offset_yx) == ((160, 320), (80, 0))
    np.testing.assert_allclose(letterbox.to_model(np.array([[10.0, 20, 60, 70]])), [[16, 112, 96, 192]])


def test_pixels_land_where_boxes_say() -> None:
    image = np.zeros((120, 90, 3), dtype=np.uint8)
    image[30:60, 10:40] = 255
    letterbox = Letterbox.fit((120, 90), 240)
    square = letterbox.apply(image)
    assert square.shape == (240, 240, 3)
    left, top, right, bottom = letterbox.to_model(np.array([[10.0, 30, 40, 60]]))[0].round().astype(int)
    assert square[top + 2 : bottom - 2, left + 2 : right - 2].min() > 250
    assert square[top - 4, left - 4].max() == 0
    assert square[0, 0].tolist() == [PAD_VALUE] * 3


@given(SIDES, SIDES, st.sampled_from([32, 320, 352, 640, 1280]))
def test_a_rectangle_is_the_smallest_that_holds_the_image(height: int, width: int, size: int) -> None:
    square = Letterbox.fit((height, width), size)
    letterbox = Letterbox.fit((height, width), size, rectangle=True)
    assert letterbox.content_hw == square.content_hw
    assert letterbox.input_hw in rectangle_sizes(size)
    assert letterbox.size == size
    assert all(side % 32 == 0 for side in letterbox.input_hw)
    smaller = [
        own
        for own in rectangle_sizes(size)
        if own[0] * own[1] < letterbox.input_hw[0] * letterbox.input_hw[1]
        and own[0] >= letterbox.content_hw[0]
        and own[1] >= letterbox.content_hw[1]
    ]
    assert not smaller
    whole = letterbox.apply(np.zeros((min(height, 50), min(width, 50), 3), np.uint8))
    assert whole.shape == (*letterbox.input_hw, 3)
    assert letterbox.content_share >= square.content_share


def test_rectangles_by_hand() -> None:
    assert rectangle_sides(352) == [352, 288, 224]
    assert rectangle_sides(320) == [320, 256, 192]
    assert rectangle_sides(640) == [640, 512, 384]
    assert rectangle_sides(32) == [32]
    assert rectangle_sizes(320) == [(320, 320), (256, 320), (192, 320), (320, 256), (320, 192)]
    assert Letterbox.fit((1080, 1920), 352, rectangle=True).input_hw == (224, 352)
    assert Letterbox.fit((480, 640), 640, rectangle=True).input_hw == (512, 640)
    assert Letterbox.fit((10, 3000), 352, rectangle=True).input_hw == (224, 352)
    assert rectangle_hw([(352, 200), (210, 352)], 352) == (352, 352)
    assert rectangle_hw([(200, 352), (210, 352)], 352) == (224, 352)
