"""The gate: its figures on engines whose differences are known, and what it lets through."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.engines.exported.export_metadata import Suppression
from medrov_cli.core.exporting.differences import (
    COUNTED_SCORE,
    LIMITS,
    compare,
    require_within_limits,
    suppressed_share,
)
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.suppression import select
from medrov_cli.core.settings.choices import ExportPrecision

SQUARES = np.zeros((3, 32, 32, 3), np.uint8)


class Fixed:
    """An engine that always finds the same."""

    imgsz = 32
    name = "fixed"
    is_accelerator = False
    streams = 1

    def __init__(self, boxes: object, scores: object) -> None:
        self._found = Candidates(np.array(boxes, np.float32), np.array(scores, np.float32))

    def infer(self, images_rgb: np.ndarray, floor: float = 0.0) -> list[Candidates]:
        return [self._found] * len(images_rgb)


BOXES = [[0, 0, 8, 8], [4, 4, 20, 20]]


def test_figures_are_those_computed_by_hand() -> None:
    expected = Fixed(BOXES, [[0.5, 0.01], [0.04, 0.0]])
    found = Fixed([[0, 0, 8, 9], [0, 0, 0, 0]], [[0.4, 0.01], [0.04, 0.03]])
    done: list[int] = []
    parity = compare(expected, found, SQUARES, lambda count, *_: done.append(count))
    assert (parity.images, parity.counted) == (3, 3)  # the second anchor is below what counts
    assert parity.score_max == pytest.approx(0.1)
    assert parity.score_mean == pytest.approx(0.1)  # one pair an image counts
    assert parity.box_max_px == pytest.approx(1)
    assert parity.box_mean_px == pytest.approx(0.25)
    assert done == [3]
    assert parity.as_dict()["counted_from_score"] == COUNTED_SCORE


@pytest.mark.parametrize("scores", [[[np.nan, 0.0], [0.0, 0.0]], [[0.5, 0.01]]])
def test_what_is_no_number_or_of_another_shape_is_beyond_every_limit(scores: list[list[float]]) -> None:
    parity = compare(Fixed(BOXES, [[0.5, 0.01], [0.04, 0.0]]), Fixed(BOXES[: len(scores)], scores), SQUARES)
    for limits in LIMITS.values():
        assert parity.score_max > 1e6 >= (limits.score_max or 0)


@given(value=st.floats(0, 1), limit=st.floats(0, 1))
def test_the_judge_refuses_exactly_what_is_above_its_limit(value: float, limit: float) -> None:
    figures = [("always fine", 9.0, None), ("score", value, limit)]
    if value <= limit:
        require_within_limits(figures, ExportPrecision.INT8)
        return
    with pytest.raises(MedrovError) as caught:
        require_within_limits(figures, ExportPrecision.INT8)
    assert caught.value.code is ErrorCode.PARITY_FAILED
    assert "score" in caught.value.message
    assert "always fine" not in caught.value.message


def test_no_limit_is_tighter_in_a_coarser_format() -> None:
    order = [LIMITS[p] for p in (ExportPrecision.FP32, ExportPrecision.FP16, ExportPrecision.BF16)]
    for fine, coarse in itertools.pairwise(order):
        assert fine.score_mean < coarse.score_mean
        assert fine.box_mean_px < coarse.box_mean_px


def test_the_share_that_differs_counts_both_ways() -> None:
    own = Suppression((0.1,), 0.5, 10)
    outside = Fixed(BOXES, [[0.5], [0.4]])
    boxes, scores, _ = select(outside._found.boxes_xyxy, outside._found.scores, conf=0.1, iou=0.5, max_det=10)
    assert len(boxes) == 2
    same = Fixed(boxes, scores[:, None])
    assert suppressed_share(outside, same, own, SQUARES) == (6, 0.0)
    fewer = Fixed(boxes[:1], scores[:1, None])
    assert suppressed_share(outside, fewer, own, SQUARES) == (6, 0.5)
    moved = Fixed(boxes + np.array([0, 0, 0, 2]), scores[:, None])
    assert suppressed_share(outside, moved, own, SQUARES) == (6, 1.0)
