"""Which boxes of several readers show one object, by hand and as rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.datasets.readers.shared.reader_agreement import merge_readers
from medrov_cli.core.records.annotations import Annotation
from medrov_cli.core.records.boxes import iou_matrix, xywh_to_xyxy

Sides = tuple[float, float, float, float]


def drawn(*boxes: tuple[str, Sides], name: str = "mass") -> list[Annotation]:
    """Return boxes (x1, y1, x2, y2) with their annotators."""
    return [
        Annotation(name, (x1, y1, x2 - x1, y2 - y1), annotator=annotator)
        for annotator, (x1, y1, x2, y2) in boxes
    ]


def corners(annotations: tuple[Annotation, ...]) -> list[Sides]:
    return [(x, y, x + w, y + h) for x, y, w, h in (own.box_xywh for own in annotations)]


def test_three_readers_and_the_mean_of_their_corners() -> None:
    found = merge_readers(drawn(("a", (0, 0, 10, 10)), ("b", (1, 0, 10, 12)), ("c", (2, 3, 10, 8))))
    # a and b: 90 of 118; a and c: 40 of 100 only. So c, which has nobody to agree with, stays.
    assert corners(found) == [(0.5, 0, 10, 11), (2, 3, 10, 8)]
    found = merge_readers(drawn(("a", (0, 0, 10, 10)), ("b", (1, 0, 10, 12)), ("c", (2, 3, 12, 11))))
    # c with a: 56 of 124; c with b: 64 of 124, but it would have to agree with both.
    assert corners(found) == [(0.5, 0, 10, 11), (2, 3, 12, 11)]
    found = merge_readers(
        drawn(("a", (0, 0, 9, 9)), ("b", (0, 0, 9, 10)), ("c", (0, 0, 12, 10)), ("d", (0, 0, 9, 9)))
    )
    assert corners(found) == [(0, 0, 9.75, 9.5)]


def test_half_is_enough_and_less_is_not() -> None:
    assert corners(merge_readers(drawn(("a", (0, 0, 10, 10)), ("b", (0, 0, 10, 5))))) == [(0, 0, 10, 7.5)]
    assert len(merge_readers(drawn(("a", (0, 0, 10, 10)), ("b", (0, 0, 10, 4.99))))) == 2


def test_a_reader_has_one_box_in_an_object() -> None:
    # Both boxes of a agree with b's: the nearer one is joined.
    found = merge_readers(drawn(("a", (0, 0, 10, 8)), ("b", (0, 0, 10, 10)), ("a", (0, 0, 10, 9))))
    assert corners(found) == [(0, 0, 10, 8), (0, 0, 10, 9.5)]


def test_other_classes_stay_apart() -> None:
    pair = [*drawn(("a", (0, 0, 4, 4))), *drawn(("b", (0, 0, 4, 4)), name="nodule")]
    assert merge_readers(pair) == tuple(pair)
    assert merge_readers([]) == ()


# Few different numbers, so that overlaps are equal as often as they can be.
SIDES = st.tuples(*[st.integers(0, 4)] * 2, *[st.integers(5, 9)] * 2)
BOX = st.builds(
    lambda reader, box, name: drawn((reader, box), name=name)[0],
    st.sampled_from("abcd"),
    SIDES,
    st.sampled_from(["mass", "nodule"]),
)


@given(boxes=st.lists(BOX, max_size=8), random=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(boxes: list[Annotation], random: Random) -> None:
    shuffled = list(boxes)
    random.shuffle(shuffled)
    assert Counter(merge_readers(shuffled)) == Counter(merge_readers(boxes))


@given(boxes=st.lists(BOX, max_size=8))
def test_one_reader_alone_is_not_changed(boxes: list[Annotation]) -> None:
    alone = [replace(own, annotator="a") for own in boxes]
    assert merge_readers(alone) == tuple(alone)


@given(boxes=st.lists(BOX, max_size=8))
def test_nothing_is_lost_and_nothing_left_that_two_could_be_joined_of(boxes: list[Annotation]) -> None:
    found = merge_readers(boxes)
    assert {own.class_name for own in found} == {own.class_name for own in boxes}
    # There are as many objects of a class as the busiest reader has drawn, or more.
    for name in {own.class_name for own in found}:
        by_reader = Counter(own.annotator for own in boxes if own.class_name == name)
        assert max(by_reader.values()) <= sum(own.class_name == name for own in found) <= by_reader.total()
    # What is left as it was drawn agrees with nothing else that was left so by another reader.
    left = [own for own in boxes if own in found and boxes.count(own) == 1]
    places = [(own.class_name, own.box_xywh) for own in boxes]
    single = [own for own in left if places.count((own.class_name, own.box_xywh)) == 1]
    for one in single:
        for other in single:
            same = one.class_name == other.class_name and one.annotator != other.annotator
            if same:
                pair = np.asarray([one.box_xywh, other.box_xywh], dtype=np.float64)
                assert iou_matrix(*[xywh_to_xyxy(pair)] * 2)[0, 1] < 0.5


@pytest.mark.parametrize("count", [2, 3, 5])
def test_equal_boxes_of_all_readers_are_that_box(count: int) -> None:
    box = (0.1, 0.2, 7.3, 9.7)
    (found,) = merge_readers([Annotation("mass", box, annotator=f"r{number}") for number in range(count)])
    assert found.box_xywh == pytest.approx(box, abs=1e-12)
