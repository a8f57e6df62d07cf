"""Contours become masks: by hand, and back from contours that OpenCV traces around any mask."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medrov_cli.core.datasets.readers.shared.polygons import polygon_mask

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def drawn(*polygons: list[tuple[float, float]], rows: int = 6, columns: int = 8) -> list[str]:
    mask = polygon_mask([np.array(points, dtype=np.float64) for points in polygons], rows, columns)
    return ["".join("#" if pixel else "." for pixel in row) for row in mask]


def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def test_a_pixel_belongs_if_its_centre_is_inside() -> None:
    assert drawn(box(0.6, 0.6, 3.4, 2.4)) == ["........", ".###....", ".###....", *["........"] * 3]


def test_the_line_belongs_to_the_object_on_all_sides() -> None:
    assert drawn(box(1, 1, 3, 2)) == drawn(box(0.6, 0.6, 3.4, 2.4))
    assert drawn(box(1.0004, 1, 2.9996, 2)) == drawn(box(1, 1, 3, 2))  # decimals of a file


def test_a_contour_in_a_contour_is_a_hole_and_one_in_that_an_island() -> None:
    assert drawn(box(-0.4, -0.4, 6.4, 4.4), box(0.6, 0.6, 5.4, 3.4), box(2.6, 1.6, 3.4, 2.4)) == [
        "#######.",
        "#.....#.",
        "#..#..#.",
        "#.....#.",
        "#######.",
        "........",
    ]


def test_a_hole_may_be_joined_to_the_outer_contour_by_a_channel() -> None:
    outer, hole = box(-0.4, -0.4, 4.4, 3.4), box(1.6, 0.6, 2.4, 2.4)
    keyhole = [*outer, outer[0], *hole, hole[0], outer[0]]
    assert drawn(keyhole) == drawn(outer, hole)
    assert drawn(keyhole)[1:3] == ["##.##...", "##.##..."]


def test_a_triangle_by_hand() -> None:
    assert drawn([(0, 0), (4, 4), (0, 4)])[:5] == ["#.......", "##......", "###.....", "####....", "#####..."]


def test_what_is_outside_of_the_image_is_cut_off() -> None:
    assert drawn(box(-9, -9, 1.5, 0.5)) == ["##......", *["........"] * 5]
    assert drawn(box(7.5, 5.5, 99, 99)) == ["........"] * 6
    assert drawn(box(-20, 2, -10, 3)) == ["........"] * 6


def test_points_and_lines() -> None:
    assert drawn([(2, 1)]) == ["........", "..#.....", *["........"] * 4]
    assert drawn([(1, 3), (4, 3)]) == [*["........"] * 3, ".####...", *["........"] * 2]
    assert drawn() == ["........"] * 6


@given(MASKS)
def test_traced_contours_give_their_mask_back(mask: np.ndarray) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    polygons = [contour[:, 0].astype(np.float64) for contour in contours]
    assert (polygon_mask(polygons, *mask.shape) == mask).all()
    assert (polygon_mask([points[::-1] for points in polygons[::-1]], *mask.shape) == mask).all()
