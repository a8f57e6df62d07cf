"""Points of the network at which tensors are stored in 8 bits, and operators for them.

A point is the output of a layer that convolutions read. Its name is the stem of the layer in the weights
file. The operator is OpenVINO's ``FakeQuantize``, from which its compiler makes a network in int8. The
operators are written by hand, because NNCF needs images and minutes for what a few measured ranges give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from medrov_cli.core.model.graph.builder import Name, OnnxBuilder

Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest value at each point."""

_DOMAIN = "org.openvinotoolkit"
_LEVELS = 256
_KERNEL_LEVELS = 255

_ABOVE_ONE = np.nextafter(np.float32(1), np.float32(2))

_FLOAT_KERNELS = ("0", "22.cv2.0.2", "22.cv2.1.2", "22.cv2.2.2")
"""Convolutions in float: the first one, which reads the pixels, and those of the distances."""

_JOINED = (("6.cv2", "9.cv2", "19"), ("4.cv2", "12.cv2", "16"))
"""Points whose tensors are concatenated outside of C2f blocks."""


class TensorPoints(Protocol):
    """Operators at the points of the network."""

    def store(self, stem: str, x: Name) -> Name:
        """Return the tensor that the next layers read instead of the output of a layer."""

    def read(self, x: Name) -> Name:
        """Return the output of a layer for products with the text."""

    def kernel(self, stem: str, weight: np.ndarray) -> Name:
        """Return the kernel of a convolution, (out, in, height, width)."""


class PlainPoints:
    """No operators: the network in float."""

    def __init__(self, graph: OnnxBuilder) -> None:
        self._graph = graph

    def store(self, stem: str, x: Name) -> Name:
        """Return the tensor itself."""
        del stem
        return x

    def read(self, x: Name) -> Name:
        """Return the tensor itself."""
        return x

    def kernel(self, stem: str, weight: np.ndarray) -> Name:
        """Return the kernel as a constant."""
        del stem
        return self._graph.constant(weight)


class ObservedPoints(PlainPoints):
    """Network in float with an output for the smallest and largest value at each point, (batch, 2)."""

    PREFIX = "extremes/"
    """Beginning of the names of these outputs; the stem follows."""

    def store(self, stem: str, x: Name) -> Name:
        """Add the output of the point, and return the tensor itself."""
        graph = self._graph
        flat = graph.reshape(x, 0, -1)
        extremes = [graph.node(kind, flat, axes=[1], keepdims=1) for kind in ("ReduceMin", "ReduceMax")]
        graph.output(graph.concat(extremes, 1), self.PREFIX + stem, "float32", ("batch", 2))
        return x


class QuantisedPoints:
    """Network in int8: tensors in 8 bits unsigned with a zero point, kernels in 8 or 7 bits for each channel.

    Parameters
    ----------
    graph
        The graph.
    ranges
        Range of each point; a point without one is a ``KeyError``.
    kernel_bits
        8, or 7 for a CPU that adds pairs of products in 16 bits, which 8 bits would saturate.
    """

    def __init__(self, graph: OnnxBuilder, ranges: Ranges, kernel_bits: int) -> None:
        self._graph = graph
        self._ranges = ranges
        self._steps = (1 << (kernel_bits - 1)) - 1

    def store(self, stem: str, x: Name) -> Name:
        """Return the tensor rounded to the levels of its point; 0 is one of them."""
        low, high = self._ranges[stem]
        step = (high - low) / (_LEVELS - 1)
        low = round(low / step) * step
        return self._rounded(x, low, low + (_LEVELS - 1) * step, _LEVELS)

    def read(self, x: Name) -> Name:
        """Return the tensor times the next number above 1.

        The product keeps the compiler from demanding signed integers of the point for the sake of a product
        of two tensors, for which it would leave the whole block in float.
        """
        return self._graph.node("Mul", x, self._graph.constant(_ABOVE_ONE))

    def kernel(self, stem: str, weight: np.ndarray) -> Name:
        """Return the kernel rounded to symmetric levels of each output channel."""
        if stem in _FLOAT_KERNELS:
            return self._graph.constant(weight)
        largest = np.abs(weight).max((1, 2, 3), keepdims=True).astype(np.float32)
        largest = np.maximum(largest, np.finfo(np.float32).tiny)
        ends = largest * np.float32(_KERNEL_LEVELS // 2 / self._steps)
        return self._rounded(self._graph.constant(weight), -ends, ends, _KERNEL_LEVELS)

    def _rounded(self, x: Name, low: np.ndarray | float, high: np.ndarray | float, levels: int) -> Name:
        ends = [self._graph.constant(low), self._graph.constant(high)]
        how = {"domain": _DOMAIN, "levels": levels, "auto_broadcast": "numpy"}
        return self._graph.node("FakeQuantize", x, *ends, *ends, **how)


def share_ranges(ranges: Ranges) -> dict[str, tuple[float, float]]:
    """Return ranges in which points whose tensors are concatenated have one range, the union."""
    shared = dict(ranges)
    for group in (*_JOINED, *_blocks(ranges)):
        low, high = min(ranges[stem][0] for stem in group), max(ranges[stem][1] for stem in group)
        shared |= dict.fromkeys(group, (low, high))
    return shared


def _blocks(ranges: Ranges) -> list[list[str]]:
    """Return the concatenated points of each C2f block."""
    blocks = {stem.split(".m.")[0] for stem in ranges if ".m." in stem}
    return [
        [
            stem
            for stem in ranges
            if stem in (f"{block}.cv1", f"{block}.attn")
            or (stem.startswith(f"{block}.m.") and stem.endswith(".cv2"))
        ]
        for block in sorted(blocks)
    ]
