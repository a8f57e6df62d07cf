"""Network of a weights file as an ONNX graph, written without torch.

It is the network of :mod:`medrov_cli.core.model.network`, with batch norms fused with their convolutions,
and text folded by :mod:`medrov_cli.core.model.folding`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.constants import STRIDES, TEXT_WIDTH
from medrov_cli.core.model.folding import ATTENTIONS, EPS, LEVELS, Tensors, guide_terms, head_terms
from medrov_cli.core.model.graph.builder import Name, OnnxBuilder
from medrov_cli.core.model.graph.points import PlainPoints, TensorPoints
from medrov_cli.core.records.folded_text import FoldedText

_ATTENTION_STRIDES = (16, 8, 16, 32)

PLACES_AT_ONCE = 400
"""Grid cells per product with all classes (measured at 640 pixels with 10 and 1,000 classes)."""


@dataclass(frozen=True, slots=True)
class GraphText:
    """A set of classes as tensors of the graph; shapes are those of :class:`FoldedText`."""

    kernels: tuple[Name, ...]
    constants: tuple[Name, ...]
    guides: tuple[Name, ...]


class NetworkGraph:
    """Writer of the network to a graph, layer by layer.

    Parameters
    ----------
    graph
        The graph.
    tensors
        Tensors of a weights file, by name.
    text
        The class embeddings.
    input_hw
        Height and width of the input, if they are fixed. Products with all classes are then computed in parts
        that fit in the processor's cache.
    points
        Operators at the outputs of layers; null: none.
    """

    def __init__(
        self,
        graph: OnnxBuilder,
        tensors: Tensors,
        text: GraphText,
        input_hw: tuple[int, int] | None = None,
        points: TensorPoints | None = None,
    ) -> None:
        self._graph = graph
        self._tensors = tensors
        self._text = text
        self._input_hw = input_hw
        self._points = points or PlainPoints(graph)
        self._stages: list[Name] = []

    def levels(self, images: Name) -> list[Name]:
        """Return the three levels of text-guided features, (b, c, h, w), of images, (b, 3, h, w), 0 to 1."""
        add, graph = self.conv, self._graph
        x = self._c2f("2", add("1", add("0", images, 2), 2), residual=True)
        p3 = self._c2f("4", add("3", x, 2), residual=True)
        p4 = self._c2f("6", add("5", p3, 2), residual=True)
        p5 = self._c2f("8", add("7", p4, 2), residual=True)
        self._stages = [p3, p4, p5]
        p5 = self._pooling("9", p5)
        top4 = self._c2f("12", graph.concat((self._double(p5), p4), 1), guided=True)
        level3 = self._c2f("15", graph.concat((self._double(top4), p3), 1), guided=True)
        level4 = self._c2f("18", graph.concat((add("16", level3, 2), top4), 1), guided=True)
        level5 = self._c2f("21", graph.concat((add("19", level4, 2), p5), 1), guided=True)
        return [level3, level4, level5]

    def pooled(self) -> Name:
        """Return the pooled features, (b, 2 * channels), after :meth:`levels`.

        They are those of :func:`medrov_cli.core.model.pooling.pool`.
        """
        graph = self._graph
        values = [*self._stages, *(graph.node("Mul", x, x) for x in self._stages)]
        return graph.concat([graph.node("ReduceMean", x, axes=[2, 3], keepdims=0) for x in values], 1)

    def distances(self, index: int, level: Name) -> Name:
        """Return the distance logits of a level, (b, 64, h, w)."""
        stem = f"22.cv2.{index}"
        return self._plain(f"{stem}.2", self.conv(f"{stem}.1", self.conv(f"{stem}.0", level), stored=False))

    def hidden(self, index: int, level: Name) -> Name:
        """Return the features of a level before the product with the text, (b, c, h * w)."""
        stem = f"22.cv3.{index}"
        return self._graph.reshape(
            self.conv(f"{stem}.1", self.conv(f"{stem}.0", level), stored=False), 0, 0, -1
        )

    def logits(self, index: int, hidden: Name) -> Name:
        """Return the class logits of a level, (b, classes, h * w)."""
        products = self._graph.node("MatMul", self._text.kernels[index], hidden)
        return self._graph.node("Add", products, self._text.constants[index])

    def best(self, index: int, hidden: Name) -> Name:
        """Return the largest class logit at each cell of a level, (b, h * w)."""
        return self._largest(hidden, STRIDES[index], 1, lambda x: self.logits(index, x))

    def conv(
        self, stem: str, x: Name, stride: int = 1, *, activated: bool = True, stored: bool = True
    ) -> Name:
        """Add a convolution fused with its batch norm, and SiLU; with ``stored`` its output is a point."""
        weight = self._get(f"{stem}.conv.weight")
        gain = self._get(f"{stem}.bn.weight") / np.sqrt(self._get(f"{stem}.bn.running_var") + EPS)
        bias = self._get(f"{stem}.bn.bias") - self._get(f"{stem}.bn.running_mean") * gain
        x = self._convolve(stem, x, weight * gain[:, None, None, None], bias, stride)
        if not activated:
            return x
        y = self._graph.node("Mul", x, self._graph.node("Sigmoid", x))
        return self._points.store(stem, y) if stored else y

    def _plain(self, stem: str, x: Name) -> Name:
        return self._convolve(stem, x, self._get(f"{stem}.weight"), self._get(f"{stem}.bias"), 1)

    def _convolve(self, stem: str, x: Name, weight: np.ndarray, bias: np.ndarray, stride: int) -> Name:
        side = weight.shape[-1]
        weights = (self._points.kernel(stem, weight), self._graph.constant(bias))
        how = {"kernel_shape": [side] * 2, "strides": [stride] * 2, "pads": [side // 2] * 4}
        return self._graph.node("Conv", x, *weights, **how)

    def _c2f(self, stem: str, x: Name, *, residual: bool = False, guided: bool = False) -> Name:
        """Add a C2f block; a guided one ends in text-guided attention."""
        graph = self._graph
        half = self._shape(f"{stem}.cv1.conv.weight")[0] // 2
        parts = graph.split(self.conv(f"{stem}.cv1", x), half, 2, 1)
        number = 0
        while f"model.{stem}.m.{number}.cv1.conv.weight" in self._tensors:
            inner = f"{stem}.m.{number}"
            y = self.conv(f"{inner}.cv2", self.conv(f"{inner}.cv1", parts[-1]), stored=not residual)
            if residual:
                y = self._points.store(f"{inner}.cv2", graph.node("Add", parts[-1], y))
            parts.append(y)
            number += 1
        if guided:
            attended = self._attention(f"{stem}.attn", parts[-1], half)
            parts.append(self._points.store(f"{stem}.attn", attended))
        return self.conv(f"{stem}.cv2", graph.concat(parts, 1))

    def _attention(self, stem: str, x: Name, channels: int) -> Name:
        """Add the max-sigmoid attention, which weights features by their largest similarity to a class."""
        graph = self._graph
        bias = self._get(f"{stem}.bias")
        heads = len(bias)
        embedded = x
        if f"model.{stem}.ec.conv.weight" in self._tensors:
            embedded = self.conv(f"{stem}.ec", x, activated=False)
        embedded = self._points.read(embedded)
        rows = graph.reshape(embedded, 0, heads, channels // heads, -1)
        layer = ATTENTIONS.index(stem.removesuffix(".attn"))
        guides = self._text.guides[layer]
        likeness = self._largest(
            rows, _ATTENTION_STRIDES[layer], 2, lambda x: graph.node("MatMul", guides, x)
        )
        raised = graph.node("Add", likeness, graph.constant(bias[:, None]))
        gate = graph.node("Unsqueeze", graph.node("Sigmoid", raised), graph.constant([2], "int64"))
        y = self.conv(f"{stem}.proj_conv", x, activated=False)
        gated = graph.node("Mul", graph.reshape(y, 0, heads, channels // heads, -1), gate)
        return graph.node("Reshape", gated, graph.node("Shape", y))

    def _largest(self, rows: Name, stride: int, axis: int, product: Callable[[Name], Name]) -> Name:
        """Return the maximum over an axis of ``product``, applied to parts of the columns of features."""
        graph = self._graph
        places = 0 if self._input_hw is None else math.prod(side // stride for side in self._input_hw)
        parts = [rows]
        if places > PLACES_AT_ONCE:
            count = -(-places // PLACES_AT_ONCE)
            sizes = [places * (i + 1) // count - places * i // count for i in range(count)]
            parts = graph.nodes("Split", rows, graph.constant(sizes, "int64"), outputs=count, axis=-1)
        found = [graph.node("ReduceMax", product(part), axes=[axis], keepdims=0) for part in parts]
        return found[0] if len(found) == 1 else graph.concat(found, -1)

    def _pooling(self, stem: str, x: Name) -> Name:
        parts = [self.conv(f"{stem}.cv1", x)]
        for _ in range(3):
            parts.append(
                self._graph.node("MaxPool", parts[-1], kernel_shape=[5, 5], pads=[2] * 4, strides=[1, 1])
            )
        return self.conv(f"{stem}.cv2", self._graph.concat(parts, 1))

    def _double(self, x: Name) -> Name:
        scales = self._graph.constant([1, 1, 2, 2])
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._graph.node("Resize", x, "", scales, **how)

    def _get(self, name: str) -> np.ndarray:
        return np.asarray(self._tensors[f"model.{name}"], dtype=np.float64)

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[f"model.{name}"].shape


def fixed_text(graph: OnnxBuilder, text: FoldedText) -> GraphText:
    """Add a set of classes as constants."""
    return GraphText(
        tuple(graph.constant(array) for array in text.kernels),
        tuple(graph.constant(array) for array in text.constants),
        tuple(graph.constant(array) for array in text.guides),
    )


def folded_input(graph: OnnxBuilder, tensors: Tensors) -> GraphText:
    """Add the inputs ``kernel0`` and so on, as returned by :meth:`FoldedText.inputs`."""
    widths = [head_terms(tensors, level)[0].shape[1] for level in range(LEVELS)]
    kernels = [graph.input(f"kernel{i}", "float32", ("classes", width)) for i, width in enumerate(widths)]
    constants = [graph.input(f"constant{i}", "float32", ("classes", 1)) for i in range(LEVELS)]
    guides = []
    for i, layer in enumerate(ATTENTIONS):
        _, offset, heads = guide_terms(tensors, layer)
        guides.append(graph.input(f"guide{i}", "float32", (heads, "texts", len(offset) // heads)))
    return GraphText(tuple(kernels), tuple(constants), tuple(guides))


def embeddings_input(graph: OnnxBuilder, tensors: Tensors) -> GraphText:
    """Add the input ``embeddings``, (classes, 512), L2 norm 1, and the operations of :func:`fold_text`."""
    text = guides = graph.input("embeddings", "float32", ("classes", TEXT_WIDTH))
    if "background" in tensors:
        guides = graph.concat((text, graph.constant(tensors["background"][None])), 0)
    text, guides = (_adapted(graph, tensors, x) for x in (text, guides))
    kernels, constants = [], []
    for level in range(LEVELS):
        to_features, shift, bias = head_terms(tensors, level)
        kernels.append(graph.node("MatMul", text, graph.constant(to_features)))
        shifted = graph.node("MatMul", text, graph.constant(shift[:, None]))
        constants.append(graph.node("Add", shifted, graph.constant(bias)))
    by_layer = []
    for layer in ATTENTIONS:
        weight, offset, heads = guide_terms(tensors, layer)
        rows = graph.node("Add", graph.node("MatMul", guides, graph.constant(weight)), graph.constant(offset))
        by_layer.append(graph.transpose(graph.reshape(rows, -1, heads, len(offset) // heads), 1, 0, 2))
    return GraphText(tuple(kernels), tuple(constants), tuple(by_layer))


def _adapted(graph: OnnxBuilder, tensors: Tensors, x: Name) -> Name:
    if "text_adapter.weight" in tensors:
        x = graph.node("MatMul", x, graph.constant(tensors["text_adapter.weight"].T))
        x = graph.node("Add", x, graph.constant(tensors["text_adapter.bias"]))
    return graph.node("Div", x, graph.node("ReduceL2", x, axes=[1], keepdims=1))
