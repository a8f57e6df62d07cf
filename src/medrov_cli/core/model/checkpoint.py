"""Conversion of a network to the tensors of a weights file, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from medrov_cli.core.model.network import Architecture, Detector
from medrov_cli.core.weights.container import is_of_network, load_tensors, misfit, read_metadata
from medrov_cli.core.weights.metadata import ArchitectureInfo

Tensors = dict[str, np.ndarray]


def detector_tensors(detector: Detector) -> Tensors:
    """Return the weights of a detector by name, float16, without counters of batch norms."""
    return {
        name: value.detach().cpu().contiguous().numpy().astype(np.float16)
        for name, value in detector.state_dict().items()
        if value.is_floating_point()
    }


def build_detector(info: ArchitectureInfo) -> Detector:
    """Return a network of the architecture of weights, with initial parameters."""
    return Detector(Architecture(info.scale, info.text_adapter, info.background))


def load_detector(path: Path) -> Detector:
    """Build the detector of a weights file, float32, in evaluation mode.

    Raises
    ------
    MedrovError
        ``WEIGHTS_CORRUPT`` if the tensors do not fit the architecture in the file.
    """
    detector = build_detector(read_metadata(path).architecture)
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(value)).float()
        for name, value in load_tensors(path).items()
        if is_of_network(name)
    }
    try:
        missing, unexpected = detector.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise misfit(path, str(error).splitlines()[-1].strip()) from error
    lost = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lost or unexpected:
        raise misfit(path, f"tensor {(lost or unexpected)[0]!r} is {'missing' if lost else 'unknown'}")
    return detector.eval()
