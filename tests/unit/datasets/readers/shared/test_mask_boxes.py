"""Masks become boxes that hold their last pixel: by hand, and against the slow and obvious way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.shared.mask_boxes import MaskObject, annotations_in, objects_in
from medrov_cli.core.settings.label_map import LabelMap, parse_labels

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))
LABELS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 3))


def box_of(pixels: set[tuple[int, int]]) -> MaskObject:
    rows, columns = [row for row, _ in pixels], [column for _, column in pixels]
    width, height = max(columns) - min(columns) + 1, max(rows) - min(rows) + 1
    return MaskObject(min(columns), min(rows), width, height, len(pixels))


def flooded(mask: np.ndarray[Any, Any]) -> list[set[tuple[int, int]]]:
    """Return the pixels of each component, by walking from neighbour to neighbour."""
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(mask), strict=True)}
    parts = []
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            part.add((row, column))
            around = {(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)} & left
            left -= around
            edge += around
        parts.append(part)
    return parts


def test_a_single_pixel_has_width_and_height_one() -> None:
    mask = np.zeros((5, 7), np.bool_)
    mask[0, 0] = True
    assert objects_in(mask, components=True) == (MaskObject(0, 0, 1, 1, 1),)
    mask[4, 6] = True
    assert objects_in(mask, components=False) == (MaskObject(0, 0, 7, 5, 2),)


def test_pixels_that_touch_at_a_corner_are_one_object() -> None:
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 1]], np.bool_)
    assert objects_in(mask, components=True) == (MaskObject(0, 0, 2, 2, 2), MaskObject(3, 0, 1, 2, 2))


def test_classes_come_in_the_order_of_the_map_and_values_of_one_name_are_one_class() -> None:
    values = np.array([[2, 2, 0, 5], [0, 0, 7, 0]], np.uint16)
    labels = LabelMap({7: "kidney", 2: "liver", 5: "kidney"})
    found = annotations_in(values, labels, components=True)
    assert [(own.class_name, own.box_xywh, own.area) for own in found] == [
        ("kidney", (2, 0, 2, 2), 2),  # 5 and 7 touch at a corner
        ("liver", (0, 0, 2, 1), 2),
    ]


def test_a_value_without_a_name_is_refused_unless_it_is_left_out_by_name() -> None:
    values = np.array([[1, 255]], np.uint8)
    with pytest.raises(MedrovError) as caught:
        annotations_in(values, LabelMap({1: "liver"}), components=True)
    assert caught.value.code is ErrorCode.BAD_METADATA
    assert "255" in caught.value.message
    found = annotations_in(values, LabelMap({1: "liver", 255: ""}), components=True)
    assert [own.class_name for own in found] == ["liver"]


@given(mask=MASKS, min_area=st.integers(1, 4))
def test_components_are_those_of_a_flood(mask: np.ndarray[Any, Any], min_area: int) -> None:
    expected = [box_of(part) for part in flooded(mask) if len(part) >= min_area]
    found = objects_in(mask, components=True, min_area=min_area)
    assert sorted(found) == sorted(expected)
    assert [own[1::-1] for own in found] == sorted(own[1::-1] for own in found)  # top to bottom


@given(values=LABELS)
def test_one_box_a_class_holds_all_its_pixels_and_no_more(values: np.ndarray[Any, Any]) -> None:
    labels = LabelMap({3: "c", 1: "a", 2: "b"})
    found = {own.class_name: own for own in annotations_in(values, labels, components=False)}
    assert set(found) == {labels.names[int(value)] for value in np.unique(values) if value}
    for name, own in found.items():
        (value,) = (number for number, given_name in labels.names.items() if given_name == name)
        pixels = set(zip(*(axis.tolist() for axis in np.nonzero(values == value)), strict=True))
        assert (*own.box_xywh, own.area) == box_of(pixels)


@given(values=LABELS)
def test_a_binary_mask_is_everything_but_zero(values: np.ndarray[Any, Any]) -> None:
    found = annotations_in(values, LabelMap(binary="x"), components=True)
    assert {(*own.box_xywh, own.area) for own in found} == {box_of(part) for part in flooded(values != 0)}
    assert sum(own.area or 0 for own in found) == np.count_nonzero(values)


def test_label_maps_are_read() -> None:
    assert parse_labels("1=liver, 2 = left kidney,255=") == LabelMap({1: "liver", 2: "left kidney", 255: ""})
    assert parse_labels("polyp") == LabelMap(binary="polyp")
    assert not parse_labels(None)
    assert parse_labels("2=b,1=a,3=b").class_names == ("b", "a")


@pytest.mark.parametrize("text", ["", "0=background", "1=a,1=b", "1=a,b", "-1=a", "a=1", "1=", "²=a"])
def test_wrong_label_maps_are_refused(text: str) -> None:
    with pytest.raises(MedrovError) as caught:
        parse_labels(text)
    assert caught.value.code is ErrorCode.USAGE
    assert "--labels" in caught.value.message
