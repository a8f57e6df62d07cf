"""Non-maximum suppression as a graph from boxes and scores to detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from medrov_cli.core.model.graph.builder import OnnxBuilder
from medrov_cli.core.records.frame import Float32Array

ROW = ("x1", "y1", "x2", "y2", "score", "class")
"""Columns of a detection."""


def suppression_graph(
    thresholds: Float32Array, iou: float, max_det: int, classes: int | None
) -> onnx.ModelProto:
    """Return a graph equivalent to :func:`medrov_cli.core.records.suppression.select`.

    Its inputs are ``boxes``, float32, (batch, anchors, 4), and ``scores``, (batch, anchors, classes);
    its output is ``detections``, float32, (batch, rows, 6): :data:`ROW`, best first. There are
    ``max_det`` rows, or fewer if there are fewer candidates; rows with score 0 are padding.

    Parameters
    ----------
    thresholds
        Minimum score of each class, (classes,), or of all, (1,).
    iou
        Boxes with a larger IoU with a box of higher score of their class are removed.
    max_det
        Maximum number of detections per image, over all classes.
    classes
        Number of classes; null: any number.
    """
    graph = OnnxBuilder()
    boxes = graph.input("boxes", "float32", ("batch", "anchors", 4))
    scores = graph.input("scores", "float32", ("batch", "anchors", classes or "classes"))
    sure = graph.node("GreaterOrEqual", scores, graph.constant(thresholds))
    shown = graph.node("Where", sure, scores, graph.constant(0.0))
    kept = graph.node(
        "NonMaxSuppression",
        boxes,
        graph.transpose(shown, 0, 2, 1),
        graph.constant([max_det], "int64"),
        graph.constant([iou]),
        graph.constant([0.0]),  # scores must be above this
    )  # (kept, 3): image, class, anchor
    places = graph.node("Gather", kept, graph.constant([0, 2, 1], "int64"), axis=1)
    shape = graph.node("Shape", scores)
    nothing = graph.node("Expand", graph.constant(0.0), shape)
    alone = graph.node("ScatterND", nothing, places, graph.node("GatherND", shown, places))
    flat = graph.reshape(alone, 0, -1)
    count = graph.node("Gather", graph.node("Shape", flat), graph.constant([1], "int64"))
    rows = graph.node("Min", count, graph.constant([max_det], "int64"))
    best, where = graph.nodes("TopK", flat, rows, outputs=2, axis=1)
    width = graph.node("Gather", shape, graph.constant([2], "int64"))
    anchor, label = graph.node("Div", where, width), graph.node("Mod", where, width)
    found = graph.node("GatherND", boxes, _columns(graph, anchor), batch_dims=1)
    named = graph.node("Cast", label, to=onnx.TensorProto.FLOAT)
    detections = graph.concat((found, _columns(graph, best), _columns(graph, named)), 2)
    graph.output(detections, "detections", "float32", ("batch", "rows", len(ROW)))
    return graph.model("medrov", {})


def _columns(graph: OnnxBuilder, rows: str) -> str:
    """Return (batch, n) as (batch, n, 1)."""
    return graph.node("Unsqueeze", rows, graph.constant([2], "int64"))


def with_suppression(model: onnx.ModelProto, suppression: onnx.ModelProto) -> onnx.ModelProto:
    """Return a detector with a suppression appended to its outputs ``boxes`` and ``scores``."""
    from onnx import compose

    after = compose.add_prefix(suppression, "nms/", rename_inputs=True, rename_outputs=False)
    joined: onnx.ModelProto = compose.merge_models(
        model, after, io_map=[(name, f"nms/{name}") for name in ("boxes", "scores")]
    )
    joined.producer_name = model.producer_name
    onnx.checker.check_model(joined)
    return joined


def thresholds_of(numbers: Sequence[float]) -> Float32Array:
    """Return thresholds, float32, rounded so that no score at a float64 threshold is below it."""
    values = np.array(numbers, dtype=np.float64)
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(0)), rounded).astype(np.float32)
