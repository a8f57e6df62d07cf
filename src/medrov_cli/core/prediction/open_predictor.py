"""Open an engine for a weights file and the embeddings of its classes."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.engines.interface import Engine, Loaders
from medrov_cli.core.engines.open_engine import open_engine
from medrov_cli.core.model.loading import GRAPH_VERSION, load_folded, load_graph, load_network
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.choices import EngineName, Precision

LOADERS = Loaders(load_network, load_graph, load_folded, GRAPH_VERSION)


def open_detector(
    weights: Path,
    embeddings: Float32Array,
    *,
    imgsz: int,
    device: str = "auto",
    engine: EngineName = EngineName.AUTO,
    precision: Precision = Precision.FP32,
    streams: int = 1,
) -> Engine:
    """Load a weights file into an engine; see :func:`medrov_cli.core.engines.open_engine.open_engine`."""
    return open_engine(
        weights,
        embeddings,
        imgsz=imgsz,
        loaders=LOADERS,
        device=device,
        engine=engine,
        precision=precision,
        streams=streams,
    )
