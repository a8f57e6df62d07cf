"""Complete detector as an ONNX model from images to boxes and scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import onnx

from medrov_cli.core.base.constants import POOLED, REG_MAX, STRIDES
from medrov_cli.core.model.folding import Tensors, fold_text, join_columns
from medrov_cli.core.model.graph.builder import Name, OnnxBuilder
from medrov_cli.core.model.graph.network import (
    GraphText,
    NetworkGraph,
    embeddings_input,
    fixed_text,
    folded_input,
)
from medrov_cli.core.model.graph.points import PlainPoints, TensorPoints
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.records.regions import RegionColumns


class TextForm(StrEnum):
    """Form of the classes of the graph.

    ``fixed``: constants. ``embeddings``: an input, (classes, 512), L2 norm 1. ``folded``:
    inputs, as returned by :meth:`medrov_cli.core.records.folded_text.FoldedText.inputs`.
    """

    FIXED = "fixed"
    EMBEDDINGS = "embeddings"
    FOLDED = "folded"


class OutputForm(StrEnum):
    """Outputs of the graph.

    ``scores``: ``boxes``, float32, (batch, anchors, 4), in model pixels, left, top, right, bottom, and
    ``scores``, float32, (batch, anchors, classes), 0 to 1. Anchors are ordered by level, row and column.

    ``parts``: for each level the inputs of a decoding of selected anchors: ``distances``, (batch, 64,
    anchors), ``hidden``, (batch, c, anchors), and ``best``, (batch, anchors), the largest logit.
    """

    SCORES = "scores"
    PARTS = "parts"


@dataclass(frozen=True, slots=True)
class GraphForm:
    """Options of the graph.

    Attributes
    ----------
    text, outputs
        Form of the classes, and of the outputs.
    input_hw
        Height and width of the input, in pixels; null: any multiples of 32.
    batch
        Images per pass; null: any number.
    bytes_in
        The images are uint8, (batch, height, width, 3), 0 to 255; otherwise float32, (batch, 3,
        height, width), 0 to 1.
    pooled
        Further output ``pooled``, float32, (batch, 2 * channels): the pooled features.
    metadata
        Metadata of the file.
    """

    text: TextForm = TextForm.FIXED
    outputs: OutputForm = OutputForm.SCORES
    input_hw: tuple[int, int] | None = None
    batch: int | None = None
    bytes_in: bool = False
    pooled: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class GraphColumns:
    """Learned classes of a graph with fixed text, beside texts.

    Attributes
    ----------
    learned
        The learned classes.
    columns
        int64, (classes,): classes of the graph, counted over the texts and then the learned classes.
    """

    learned: RegionColumns
    columns: IntArray


def build_graph(
    tensors: Tensors,
    form: GraphForm,
    embeddings: Float32Array | None = None,
    columns: GraphColumns | None = None,
    points: Callable[[OnnxBuilder], TensorPoints] = PlainPoints,
) -> onnx.ModelProto:
    """Return the graph of a detector.

    Parameters
    ----------
    tensors
        Tensors of a weights file, by name.
    form
        Options of the graph.
    embeddings
        For ``fixed`` text: class embeddings, float32, (classes, 512), L2 norm 1.
    columns
        For ``fixed`` text and scores: learned classes; null: none.
    points
        Function of the builder to the operators at the outputs of layers; by default there are none.
    """
    graph = OnnxBuilder()
    images = _images(graph, form)
    parted = form.input_hw if form.outputs is OutputForm.PARTS else None
    text, counts = _text(graph, tensors, form, embeddings, columns)
    network = NetworkGraph(graph, tensors, text, parted, points(graph))
    levels = network.levels(images)
    distances = [graph.reshape(network.distances(i, x), 0, 0, -1) for i, x in enumerate(levels)]
    hidden = [network.hidden(i, x) for i, x in enumerate(levels)]
    batch = form.batch or "batch"
    if form.pooled:
        graph.output(network.pooled(), POOLED, "float32", (batch, "pooled_features"))
    if form.outputs is OutputForm.PARTS:
        for i in range(len(levels)):
            best = network.best(i, hidden[i])
            graph.output(distances[i], f"distances{i}", "float32", (batch, 4 * REG_MAX, f"anchors{i}"))
            graph.output(hidden[i], f"hidden{i}", "float32", (batch, f"features{i}", f"anchors{i}"))
            graph.output(best, f"best{i}", "float32", (batch, f"anchors{i}"))
        return graph.model("medrov", form.metadata)
    logits = [network.logits(i, x) for i, x in enumerate(hidden)]
    boxes = _decode(graph, graph.concat(distances, 2), *_anchors(graph, levels, form.input_hw))
    classes = _largest_of_each(graph, graph.concat(logits, 2), counts)
    scores = graph.node("Sigmoid", graph.transpose(classes, 0, 2, 1))
    anchors: int | str = "anchors"
    if form.input_hw is not None:
        height, width = form.input_hw
        anchors = sum((height // stride) * (width // stride) for stride in STRIDES)
    graph.output(boxes, "boxes", "float32", (batch, anchors, 4))
    graph.output(scores, "scores", "float32", (batch, anchors, len(counts) if counts else "classes"))
    return graph.model("medrov", form.metadata)


def _text(
    graph: OnnxBuilder,
    tensors: Tensors,
    form: GraphForm,
    embeddings: Float32Array | None,
    columns: GraphColumns | None,
) -> tuple[GraphText, tuple[int, ...]]:
    """Return the text of the graph, and the number of kernels of each class (none: an input)."""
    if form.text is TextForm.FOLDED:
        return folded_input(graph, tensors), ()
    if form.text is TextForm.EMBEDDINGS:
        return embeddings_input(graph, tensors), ()
    if embeddings is None:
        raise ValueError("fixed text needs class embeddings")
    folded, counts = fold_text(tensors, embeddings), (1,) * len(embeddings)
    if columns is not None:
        folded, counts = join_columns(folded, columns.learned, columns.columns)
    return fixed_text(graph, folded), counts


def _largest_of_each(graph: OnnxBuilder, logits: Name, counts: tuple[int, ...]) -> Name:
    """Return the largest logit of the kernels of each class, (b, classes, anchors)."""
    if max(counts, default=1) == 1:
        return logits
    parts = graph.nodes("Split", logits, graph.constant(list(counts), "int64"), outputs=len(counts), axis=1)
    largest = [
        part if count == 1 else graph.node("ReduceMax", part, axes=[1], keepdims=1)
        for part, count in zip(parts, counts, strict=True)
    ]
    return largest[0] if len(largest) == 1 else graph.concat(largest, 1)


def _images(graph: OnnxBuilder, form: GraphForm) -> Name:
    batch: int | str = form.batch or "batch"
    height, width = form.input_hw or ("height", "width")
    if not form.bytes_in:
        return graph.input("images", "float32", (batch, 3, height, width))
    pixels = graph.input("images", "uint8", (batch, height, width, 3))
    values = graph.node("Cast", graph.transpose(pixels, 0, 3, 1, 2), to=onnx.TensorProto.FLOAT)
    return graph.node("Mul", values, graph.constant(1 / 255))


def _anchors(graph: OnnxBuilder, levels: list[Name], input_hw: tuple[int, int] | None) -> tuple[Name, Name]:
    """Return the centres of all anchors, (1, 2, anchors), x before y, and their strides, (1, 1, anchors)."""
    if input_hw is not None:
        sizes = [tuple(side // stride for side in input_hw) for stride in STRIDES]
        cells = [np.indices(size)[::-1].reshape(2, -1) for size in sizes]
        centres = [(grid + 0.5) * stride for grid, stride in zip(cells, STRIDES, strict=True)]
        strides = [np.full((1, grid.shape[1]), stride) for grid, stride in zip(cells, STRIDES, strict=True)]
        return graph.constant(np.concatenate(centres, 1)[None]), graph.constant(
            np.concatenate(strides, 1)[None]
        )
    parts = [_free_anchors(graph, level, stride) for level, stride in zip(levels, STRIDES, strict=True)]
    return graph.concat([p[0] for p in parts], 2), graph.concat([p[1] for p in parts], 2)


def _free_anchors(graph: OnnxBuilder, level: Name, stride: int) -> tuple[Name, Name]:
    """Return the same for one level of a size that is known only at run time."""
    shape = graph.node("Shape", level)
    size = [graph.node("Gather", shape, graph.constant(axis, "int64")) for axis in (2, 3)]
    zero, one = graph.constant(0, "int64"), graph.constant(1, "int64")
    centres = []
    for axis, count in enumerate(size):
        steps = graph.node("Cast", graph.node("Range", zero, count, one), to=onnx.TensorProto.FLOAT)
        places = graph.node(
            "Mul", graph.node("Add", steps, graph.constant(0.5)), graph.constant(float(stride))
        )
        line = graph.reshape(places, 1, 1, *((-1, 1) if axis == 0 else (1, -1)))
        full = graph.node("Expand", line, graph.node("Concat", *_as_vectors(graph, one, one, *size), axis=0))
        centres.append(graph.reshape(full, 1, 1, -1))
    both = graph.concat(centres[::-1], 1)
    strides = graph.node(
        "Add", graph.node("Mul", centres[0], graph.constant(0.0)), graph.constant(float(stride))
    )
    return both, strides


def _as_vectors(graph: OnnxBuilder, *numbers: Name) -> list[Name]:
    return [graph.reshape(number, 1) for number in numbers]


def _decode(graph: OnnxBuilder, distances: Name, centres: Name, strides: Name) -> Name:
    """Return boxes, (b, anchors, 4), from distance logits, (b, 64, anchors)."""
    by_side = graph.node("Softmax", graph.reshape(distances, 0, 4, REG_MAX, -1), axis=2)
    bins = graph.constant(np.arange(REG_MAX)[None, None, :, None])
    cells = graph.node(
        "ReduceSum", graph.node("Mul", by_side, bins), graph.constant([2], "int64"), keepdims=0
    )
    left_top, right_bottom = graph.split(graph.node("Mul", cells, strides), 2, 2, 1)
    corners = (graph.node("Sub", centres, left_top), graph.node("Add", centres, right_bottom))
    return graph.transpose(graph.concat(corners, 1), 0, 2, 1)
