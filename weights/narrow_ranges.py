"""Search of narrower ranges for int8: most values at a point are far below its largest one.

A narrower range has finer levels, and cuts off the rarest values. Points are tried from the first layer to
the last, and a range stays narrower if the outputs of the whole network come nearer to those in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from medrov_cli.core.base.constants import REG_MAX, STRIDES
from medrov_cli.core.engines.openvino_streams import OpenVinoStreams
from medrov_cli.core.model.folding import fold_text
from medrov_cli.core.model.graph.builder import OnnxBuilder
from medrov_cli.core.model.graph.detector import GraphForm, OutputForm, TextForm, build_graph
from medrov_cli.core.model.graph.points import PlainPoints, QuantisedPoints, Ranges, TensorPoints
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.weights.container import load_embeddings, load_tensors, read_metadata

FACTORS = (0.7, 0.5, 0.35)
"""Shares of the measured range, tried in this order as long as each is better than the one before."""

NEARER = 0.998
"""Share of the present error from which a narrower range is kept."""

LOWEST_SCORE = 0.1
"""Score in fp32 from which an anchor counts."""

SIGNED_FROM = -1.0
"""Smallest value of a range below which its lower end is narrowed, too; SiLU has none below -0.28."""

DISTANCE_WEIGHT = 0.25
"""Weight of an error of one stride in a distance beside an error of 1 in a score."""

_OUTPUTS = tuple(f"{name}{level}" for level in range(len(STRIDES)) for name in ("best", "distances"))


class Outputs:
    """Outputs of the network of weights for some images, with any operators at its points.

    Parameters
    ----------
    weights
        Weights file.
    squares_rgb
        Model inputs, uint8, (images, imgsz, imgsz, 3).
    """

    def __init__(self, weights: Path, squares_rgb: UInt8Array) -> None:
        self._tensors = load_tensors(weights)
        self._text = fold_text(self._tensors, load_embeddings(weights)).inputs()
        imgsz = read_metadata(weights).imgsz
        self._form = GraphForm(
            TextForm.FOLDED, OutputForm.PARTS, input_hw=(imgsz, imgsz), batch=1, bytes_in=True
        )
        self._squares = squares_rgb
        self._reference = self._compute(PlainPoints)

    def error(self, ranges: Ranges) -> float:
        """Return the mean error of scores, and of distances in strides with their weight, of int8."""
        scores, distances = [], []
        for exact, found in zip(
            self._reference,
            self._compute(partial(QuantisedPoints, ranges=ranges, kernel_bits=8)),
            strict=True,
        ):
            for (score, distance), (score8, distance8) in zip(exact, found, strict=True):
                counts = score > LOWEST_SCORE
                scores.append(np.abs(score - score8)[counts])
                distances.append(np.abs(distance - distance8).mean(0)[counts])
        return float(np.concatenate(scores).mean() + DISTANCE_WEIGHT * np.concatenate(distances).mean())

    def _compute(
        self, points: Callable[[OnnxBuilder], TensorPoints]
    ) -> list[list[tuple[Float32Array, Float32Array]]]:
        """Return scores, (anchors,), and distances, (4, anchors), of each level of each image."""
        graph = build_graph(self._tensors, self._form, points=points).SerializeToString()
        model = OpenVinoStreams(lambda core: core.read_model(graph), None, self._text, bf16=False, streams=1)
        return list(model.run(self._squares, _OUTPUTS, _decoded))


def _decoded(parts: Mapping[str, Float32Array]) -> list[tuple[Float32Array, Float32Array]]:
    levels = []
    for level in range(len(STRIDES)):
        logits = parts[f"distances{level}"].reshape(4, REG_MAX, -1)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        means = (shares * np.arange(REG_MAX)[None, :, None]).sum(1) / shares.sum(1)
        levels.append((1 / (1 + np.exp(-parts[f"best{level}"].ravel())), means))
    return levels


def narrow_ranges(
    ranges: Ranges, error: Callable[[Ranges], float], say: Callable[[str], None]
) -> dict[str, tuple[float, float]]:
    """Return ranges with a smaller error: those of points that share one stay equal.

    Parameters
    ----------
    ranges
        Measured range of each point.
    error
        Function of ranges to the error of the network's outputs.
    say
        Receiver of a line for each narrower range.
    """
    best, smallest = dict(ranges), error(ranges)
    say(f"measured ranges: error {smallest:.5f}")
    for stems in _shared(ranges):
        low, high = ranges[stems[0]]
        for factor in FACTORS:
            narrower = (low * factor if low < SIGNED_FROM else low, high * factor)
            tried = best | dict.fromkeys(stems, (round(narrower[0], 6), round(narrower[1], 6)))
            found = error(tried)
            if found >= NEARER * smallest:
                break
            best, smallest = tried, found
            say(f"{', '.join(stems)}: {factor} of the range, error {found:.5f}")
    return best


def _shared(ranges: Ranges) -> Sequence[list[str]]:
    """Return the points with equal ranges, in the order of the layers."""
    groups: dict[tuple[float, float], list[str]] = {}
    for stem, own in ranges.items():
        groups.setdefault(own, []).append(stem)
    return sorted(groups.values(), key=lambda stems: min(int(stem.split(".")[0]) for stem in stems))
