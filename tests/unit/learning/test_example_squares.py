"""Changed squares: boxes follow the pixels, classes the mirror."""

from __future__ import annotations

import numpy as np
import pytest

from medrov_cli.core.learning.example_squares import ExampleSquare, SquareSampler
from medrov_cli.core.learning.examples import ExampleImage

SIDE = 96


def squares(label: int, count: int = 4) -> list[ExampleSquare]:
    """Return dark squares with one white box each."""
    made = []
    for image in range(count):
        left, top = np.random.default_rng(image).integers(30, 46, 2)
        pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
        pixels[top : top + 16, left : left + 20] = 255
        box = np.array([[left, top, left + 20, top + 16]], dtype=np.float64)
        made.append(ExampleSquare(image, pixels, box, np.array([label]), np.array([True, image % 2 == 0])))
    return made


@pytest.mark.parametrize("seed", range(8))
def test_boxes_follow_the_pixels(seed: int) -> None:
    sampler = SquareSampler(squares(0), ("bump", "pin"), SIDE, np.random.default_rng(seed))
    batch = sampler.draw(4)
    assert batch.rows.tolist() == [0, 1, 2, 3]
    for image, box in zip(batch.images_rgb, batch.boxes_xyxy, strict=True):
        rows, columns = np.nonzero(image[..., 0] > 190)  # padding is grey, the image black
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(box - found).max() < 1.2


def test_sides_are_exchanged_with_the_mirror() -> None:
    sampler = SquareSampler(squares(0), ("left lung", "right lung"), SIDE, np.random.default_rng(0))
    drawn = [sampler.draw(4) for _ in range(8)]
    labels = np.concatenate([batch.labels for batch in drawn])
    assert 0.2 < labels.mean() < 0.8
    for batch in drawn:
        for label, annotated in zip(batch.labels, batch.is_annotated, strict=True):
            assert annotated[label]


def test_a_side_without_counterpart_is_not_mirrored() -> None:
    sampler = SquareSampler(squares(1), ("bump", "left lung"), SIDE, np.random.default_rng(0))
    assert {int(label) for _ in range(8) for label in sampler.draw(4).labels} == {1}


def test_every_square_is_drawn_before_one_is_drawn_again() -> None:
    sampler = SquareSampler(squares(0, 6), ("bump", "pin"), SIDE, np.random.default_rng(0))
    first = np.concatenate([sampler.draw(2).is_annotated[:, 1] for _ in range(3)])
    assert first.sum() == 3


def test_a_box_outside_of_a_shifted_square_is_no_example() -> None:
    made = squares(0, 1)
    edge = ExampleSquare(
        0, made[0].pixels_rgb, np.array([[0.0, 40, 4, 60]]), np.array([0]), made[0].is_annotated
    )
    sampler = SquareSampler([edge], ("bump", "pin"), SIDE, np.random.default_rng(0))
    counts = [len(sampler.draw(1).labels) for _ in range(40)]
    assert set(counts) == {0, 1}


def test_regions_of_many_objects_are_grey_except_for_examples() -> None:
    pixels = np.full((SIDE, SIDE, 3), 7, np.uint8)
    image = ExampleImage(
        "a",
        "a",
        np.array([[10.0, 10, 20, 20]]),
        np.array([0]),
        np.array([[0.0, 0, 40, 30]]),
        np.array([True]),
        lambda: pixels,
    )
    square = ExampleSquare.fit(0, image, pixels, SIDE).pixels_rgb[..., 0]
    expected = np.full((SIDE, SIDE), 7)
    expected[:30, :40] = 114
    expected[10:20, 10:20] = 7
    np.testing.assert_array_equal(square, expected)
