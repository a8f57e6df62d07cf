"""What a weights file becomes for an engine; torch and onnx are imported only when one asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medrov_cli.core.model.folding import fold_text
from medrov_cli.core.records.folded_text import FoldedText
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.weights.container import load_tensors, misfit

GRAPH_VERSION = 3
"""Of what :func:`load_graph` makes: to be raised with every change, so that no compiled one outlives it."""


def load_network(path: Path) -> Any:
    """Return the torch network of a weights file, its batch norms folded, for inference alone.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    from medrov_cli.core.model.checkpoint import load_detector
    from medrov_cli.core.model.fusion import fuse

    return fuse(load_detector(path))


def load_graph(path: Path, imgsz: int) -> bytes:
    """Return the ONNX model of a weights file that engines run: one image, folded classes, parts.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    from medrov_cli.core.model.graph.detector import GraphForm, OutputForm, TextForm, build_graph

    form = GraphForm(TextForm.FOLDED, OutputForm.PARTS, imgsz=imgsz, batch=1, bytes_in=True)
    try:
        return bytes(build_graph(load_tensors(path), form).SerializeToString())
    except (KeyError, ValueError, IndexError) as error:
        raise misfit(path, error) from error


def load_folded(path: Path, embeddings: Float32Array) -> FoldedText:
    """Return class embeddings, float32, (classes, 512), L2 norm 1, folded for the graph of a weights file.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    try:
        return fold_text(load_tensors(path), embeddings)
    except (KeyError, ValueError, IndexError) as error:
        raise misfit(path, error) from error
