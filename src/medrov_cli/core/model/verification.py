"""Verification of a weights file against its network."""

from __future__ import annotations

from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.container import Verification


def verify_weights(name_or_path: str) -> Verification:
    """Read weights completely, and compare their tensors with the network in their metadata.

    Raises
    ------
    MedrovError
        ``weights_missing``, ``weights_corrupt``, ``weights_untrusted``.
    """
    from medrov_cli.core.model.fitting import check_fit

    path = resolution.resolve(name_or_path, reread=True)
    found = container.verify(path)
    check_fit(container.load_tensors(path), found.metadata.architecture, str(path))
    return found
