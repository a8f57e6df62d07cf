"""Suppression as a graph: the same as :func:`medrov_cli.core.records.suppression.select`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.model.graph.suppression_graph import suppression_graph, thresholds_of
from medrov_cli.core.records.suppression import select

IOU, MAX_DET = 0.5, 12
THRESHOLDS = (0.2, 0.5, 0.3)


@cache
def session() -> Any:
    graph = suppression_graph(thresholds_of(THRESHOLDS), IOU, MAX_DET, len(THRESHOLDS))
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


@given(seed=st.integers(0, 10_000), batch=st.integers(1, 3), anchors=st.integers(1, 40))
def test_it_is_select(seed: int, batch: int, anchors: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 40, (batch, anchors, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(5, 40, (batch, anchors, 2))), 2).astype(np.float32)
    scores = rng.random((batch, anchors, len(THRESHOLDS)), dtype=np.float32)
    (rows,) = session().run(["detections"], {"boxes": boxes, "scores": scores})
    assert rows.shape == (batch, min(MAX_DET, anchors * len(THRESHOLDS)), 6)
    for image in range(batch):
        expected = select(boxes[image], scores[image], conf=np.array(THRESHOLDS), iou=IOU, max_det=MAX_DET)
        own = rows[image][rows[image, :, 4] > 0]
        np.testing.assert_array_equal(own[:, :4], expected[0])
        np.testing.assert_array_equal(own[:, 4], expected[1])
        np.testing.assert_array_equal(own[:, 5], expected[2])
        assert not rows[image, len(own) :, 4].any()


@given(value=st.floats(0, 1))
def test_a_threshold_keeps_the_score_that_is_at_it(value: float) -> None:
    (rounded,) = thresholds_of([value])
    assert float(rounded) <= value < float(np.nextafter(rounded, np.float32(2)))
