"""The network of a weights file, ready for an engine; torch is imported only when one asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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
