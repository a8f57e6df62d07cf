"""Loading of weights files for engines; torch and onnx are imported on use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medrov_cli.core.model.fitting import first_difference
from medrov_cli.core.model.folding import fold_text
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.weights.container import load_tensors, misfit, read_metadata

if TYPE_CHECKING:
    from medrov_cli.core.model.graph.builder import OnnxBuilder
    from medrov_cli.core.model.graph.points import Ranges, TensorPoints

GRAPH_VERSION = 4
"""Version of the graphs of :func:`load_graph`; each change increases it and invalidates compiled models."""


QUANTISATION_VERSION = 1
"""Version of what :func:`load_quantised_graph` adds; each change increases it."""


def load_network(path: Path) -> Any:
    """Return the torch network of a weights file with fused batch norms, for inference only.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    from medrov_cli.core.model.checkpoint import load_detector
    from medrov_cli.core.model.fusion import fuse

    return fuse(load_detector(path))


def load_folded_network(path: Path) -> Any:
    """Return the torch network of a weights file with folded classes as inputs, for engines.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    from medrov_cli.core.model.folded_network import FoldedNetwork

    return FoldedNetwork(load_network(path)).eval().requires_grad_(requires_grad=False)


def load_graph(path: Path, input_hw: tuple[int, int]) -> bytes:
    """Return the ONNX model of a weights file for engines: folded classes as inputs, parts as outputs.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    return _graph(path, input_hw)


def load_quantised_graph(path: Path, input_hw: tuple[int, int], ranges: Ranges, kernel_bits: int) -> bytes:
    """Return the same model in int8, for OpenVINO.

    Parameters
    ----------
    path, input_hw
        Weights file, and height and width of the input in pixels.
    ranges
        Smallest and largest value at each point.
    kernel_bits
        8, or 7 for a CPU without VNNI.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    from medrov_cli.core.model.graph.points import QuantisedPoints

    return _graph(path, input_hw, lambda graph: QuantisedPoints(graph, ranges, kernel_bits))


def _graph(
    path: Path, input_hw: tuple[int, int], points: Callable[[OnnxBuilder], TensorPoints] | None = None
) -> bytes:
    from medrov_cli.core.model.graph.detector import GraphForm, OutputForm, TextForm, build_graph
    from medrov_cli.core.model.graph.points import PlainPoints

    tensors = load_tensors(path)
    difference = first_difference(tensors, read_metadata(path).architecture)
    if difference is not None:
        raise misfit(path, difference)
    form = GraphForm(
        TextForm.FOLDED, OutputForm.PARTS, input_hw=input_hw, batch=1, bytes_in=True, pooled=True
    )
    try:
        model = build_graph(tensors, form, points=points or PlainPoints)
    except (KeyError, ValueError, IndexError) as error:
        raise misfit(path, error) from error
    return bytes(model.SerializeToString())


def load_folded(path: Path, embeddings: Float32Array) -> FoldedText:
    """Fold class embeddings, float32, (classes, 512), L2 norm 1, for the graph of a weights file.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    try:
        return fold_text(load_tensors(path), embeddings)
    except (KeyError, ValueError, IndexError) as error:
        raise misfit(path, error) from error
