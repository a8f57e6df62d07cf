"""The letterbox: there and back, and pixels where boxes say they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.records.letterbox import PAD_VALUE, Letterbox

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.sampled_from([32, 320, 352, 640]), st.integers(0, 1000))
def test_round_trip(height: int, width: int, size: int, seed: int) -> None:
    letterbox = Letterbox.fit((height, width), size)
    corners = np.sort(np.random.default_rng(seed).random((5, 2, 2)), axis=1) * [width, height]
    boxes = corners.reshape(5, 4)
    model = letterbox.to_model(boxes)
    assert (model >= -1e-6).all()
    assert (model <= size + 1e-6).all()
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
