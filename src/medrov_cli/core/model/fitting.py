"""Check that tensors fit the network in their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.model.scales import tensor_shapes
from medrov_cli.core.weights.container import is_of_network
from medrov_cli.core.weights.metadata import ArchitectureInfo

_COUNTER = "num_batches_tracked"  # counter of a batch norm, used in training only, so that a file may omit it


def check_fit(tensors: Mapping[str, npt.NDArray[Any]], architecture: ArchitectureInfo, where: str) -> None:
    """Compare names and shapes of tensors with those of the network, without torch.

    Parameters
    ----------
    tensors
        Tensors by the names of a state dict, with or without class embeddings and classifier of kinds.
    architecture
        Architecture of the network.
    where
        Name of the file, for messages.

    Raises
    ------
    MedrovError
        ``weights_corrupt`` with the first tensor that is missing, unknown or of another shape.
    """
    difference = first_difference(tensors, architecture)
    if difference is not None:
        raise MedrovError(
            ErrorCode.WEIGHTS_CORRUPT,
            f"{where} is not a YOLO-World v2 {architecture.scale}: {difference}",
            "Give the weights of an unchanged, unfused model.",
        )


def first_difference(tensors: Mapping[str, npt.NDArray[Any]], architecture: ArchitectureInfo) -> str | None:
    """Return a sentence about the first tensor that does not fit; null if all fit. See :func:`check_fit`."""
    expected = tensor_shapes(architecture)
    found = {name: value.shape for name, value in tensors.items() if is_of_network(name)}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found and name.endswith(_COUNTER):
            continue
        if found.get(name) != expected.get(name):
            own, network = _shape(found.get(name)), _shape(expected.get(name))
            return f"tensor {name!r} is {own}, the network has {network}"
    return None


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(list(shape))
