"""A file of learned classes for the tiny detector, made without a fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medrov_cli.core.records.box_maps import BoxMap
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.weights.adapter import Adapter, AdapterInfo
from medrov_cli.core.weights.container import load_tensors, read_metadata, sha256_of_tensors
from medrov_cli.core.weights.learned_file import (
    LearnedClass,
    LearnedFile,
    LearnedInfo,
    NetworkIdentity,
    write_learned,
)

CHANNELS = 80
"""Width of the region vectors of scale n."""


RANK = 2
"""Rank of random adapters."""


def random_adapter(weights: Path, seed: int = 0) -> Adapter:
    """Return an adapter that changes one kernel of the neck and one of the head."""
    rng = np.random.default_rng(seed)
    tensors = load_tensors(weights)
    factors = {}
    for name in ("model.15.cv2.conv.weight", "model.22.cv3.0.0.conv.weight"):
        kernel = tensors[name]
        up = rng.normal(0, 0.02, (kernel.shape[0], RANK)).astype(np.float32)
        factors[name] = (up, rng.normal(0, 0.1, (RANK, kernel[0].size)).astype(np.float32))
    return Adapter(factors)


def write_random_classes(
    path: Path,
    weights: Path,
    names: Sequence[str],
    *,
    threshold: float = 0.3,
    seed: int = 0,
    vectors: int = 1,
    scale: float = 2.0,
    is_adapted: bool = False,
    box_map: BoxMap | None = None,
) -> LearnedFile:
    """Write learned classes with random vectors, of which some are found on any image."""
    rng = np.random.default_rng(seed)
    count = len(names) * vectors
    metadata = read_metadata(weights)
    file = LearnedFile(
        path,
        LearnedInfo(
            NetworkIdentity(metadata.name, sha256_of_tensors(weights), metadata.imgsz),
            tuple(
                LearnedClass(
                    name,
                    images=2,
                    boxes=3,
                    negatives=0,
                    vectors=vectors,
                    start="text",
                    calibration=ClassCalibration(
                        name, threshold, 0.5, (0.0, 1.0), (0.0, 0.5), box_map=box_map
                    ),
                )
                for name in names
            ),
            "CC0-1.0",
            "medrov test",
            {"examples": "made up"},
            AdapterInfo(RANK, 1) if is_adapted else None,
        ),
        rng.normal(0, scale, (3, count, CHANNELS)).astype(np.float32),
        np.full((3, count), -1, dtype=np.float32),
        np.repeat(np.arange(len(names)), vectors),
        random_adapter(weights, seed) if is_adapted else None,
    )
    write_learned(file)
    return file
