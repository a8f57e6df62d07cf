"""Boxes and areas of segmentations, against pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as reference

from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoError
from medrov_cli.core.datasets.segmentations import decompress_counts, segmentation_extent

MASKS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))


def runs_of(mask: np.ndarray[Any, Any]) -> list[int]:
    """Return the run lengths of a mask, column by column, the first of zeros."""
    values = mask.T.ravel().tolist()
    runs, current = [0], 0
    for value in values:
        if value != current:
            runs.append(0)
            current = value
        runs[-1] += 1
    return runs


@given(MASKS)
def test_run_lengths_have_the_box_and_area_of_pycocotools(mask: np.ndarray[Any, Any]) -> None:
    encoded = reference.encode(np.asfortranarray(mask))
    size = list(mask.shape)
    text = encoded["counts"].decode()
    assert decompress_counts(text) == runs_of(mask)
    for counts in (text, runs_of(mask)):
        extent = segmentation_extent({"size": size, "counts": counts})
        if not mask.any():
            assert extent is None
        else:
            assert extent is not None
            assert list(extent.box_xywh) == reference.toBbox(encoded).tolist()
            assert (extent.area, extent.size_hw) == (int(mask.sum()), mask.shape)


@given(st.lists(st.integers(0, 2**20), min_size=1, max_size=12))
def test_compressed_numbers_of_any_length(runs: list[int]) -> None:
    made = reference.frPyObjects({"size": [1, sum(runs)], "counts": runs}, 1, sum(runs))
    assert decompress_counts(made["counts"].decode()) == runs


def test_polygons_by_hand() -> None:
    square, triangle = [10, 8, 30, 8, 30, 34, 10, 34], [40, 20, 50, 20, 50, 40, 40, 40]
    one = segmentation_extent([square])
    both = segmentation_extent([square, triangle])
    assert one is not None
    assert both is not None
    assert (one.box_xywh, one.area) == ((10, 8, 20, 26), 520)
    assert (both.box_xywh, both.area) == ((10, 8, 40, 32), 720)
    assert segmentation_extent(square) == one  # a flat list, as some tools write it
    merged = reference.merge(reference.frPyObjects([square, triangle], 48, 64))
    np.testing.assert_allclose(both.box_xywh, reference.toBbox(merged), atol=0.6)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        3,
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, 3, 4, 5, 10**400]],
        {"size": [2, 2]},
        {"size": [2**40, 2**40], "counts": [2**80]},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, "2"], "counts": [4]},
        {"size": [2, 2], "counts": "\x01"},
        {"size": [2, 2], "counts": "P"},
    ],
)
def test_what_is_no_segmentation_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="it|its|the"):
        segmentation_extent(value)


def annotation(**fields: Any) -> CocoAnnotation:
    return CocoAnnotation({"id": 1, "image_id": 1, "category_id": 1, **fields})


POLYGON = [[10, 8, 30, 8, 30, 34, 10, 34]]


@pytest.mark.parametrize(
    "more", [{}, {"bbox": None}, {"bbox": []}, {"bbox": [0, 0, 0, 0]}, {"bbox": [3, 4, 0, 9]}]
)
def test_an_annotation_without_a_box_has_that_of_its_segmentation(more: dict[str, Any]) -> None:
    own = annotation(segmentation=POLYGON, **more)
    assert own.box_xywh == (10, 8, 20, 26)
    written = own.with_ids((5, 6, 7)).fields
    assert written["bbox"] == [10, 8, 20, 26]
    assert written["area"] == 520


def test_a_stated_box_counts() -> None:
    own = annotation(segmentation=POLYGON, bbox=[1, 2, 3, 4])
    assert own.box_xywh == (1, 2, 3, 4)
    for unreadable in ([], True, [[1, 2]]):
        assert annotation(bbox=[1, 2, 0, 4], segmentation=unreadable).box_xywh == (1, 2, 0, 4)
    for fields in (
        {"bbox": [1, 2, 3]},
        {"bbox": None},
        {"segmentation": [[1, 2]]},
        {"bbox": "x", "segmentation": POLYGON},
    ):
        with pytest.raises(CocoError):
            _ = annotation(**fields).box_xywh


@pytest.mark.parametrize(
    ("fields", "is_crowd"),
    [
        ({}, False),
        ({"iscrowd": 0, "ignore": 0}, False),
        ({"iscrowd": 1}, True),
        ({"ignore": 1}, True),
        ({"ignore": True, "iscrowd": 0}, True),
        ({"iscrowd": "1"}, True),
        ({"iscrowd": "0"}, False),
        ({"iscrowd": "Unspecified", "ignore": "false"}, False),
        ({"ignore": " True "}, True),
    ],
)
def test_what_is_left_out_of_scores_is_a_crowd(fields: dict[str, Any], is_crowd: bool) -> None:
    assert annotation(**fields).is_crowd is is_crowd
