"""A small scored split whose figures are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.sources import Sample, Source
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.settings.choices import Modality

POLYP, NODULE = 0, 1
A, B, C = (10, 10, 30, 30), (50, 50, 70, 70), (0, 0, 20, 20)
"""Boxes of 20 pixels that do not overlap much."""


def detections(*found: tuple[tuple[int, ...], float, int]) -> Detections:
    """Return detections of box, score and label."""
    return Detections(
        np.array([box for box, _, _ in found], dtype=np.float64).reshape(-1, 4),
        np.array([score for _, score, _ in found], dtype=np.float64),
        np.array([label for _, _, label in found], dtype=np.int64),
    )


def sample(source_id: int, number: int, *truths: tuple[tuple[int, ...], int]) -> Sample:
    """Return a sample of 100 x 100 pixels with box and label of each object."""
    return Sample(
        source_id=source_id,
        image_id=number,
        image_path=Path(f"{number}.png"),
        height=100,
        width=100,
        boxes_xyxy=np.array([box for box, _ in truths], dtype=np.float32).reshape(-1, 4),
        labels=np.array([label for _, label in truths], dtype=np.int64),
        case=None,
        areas=np.full(len(truths), 400, dtype=np.float32),
        crowd_xyxy=np.zeros((0, 4), dtype=np.float32),
        crowd_labels=np.zeros(0, dtype=np.int64),
    )


FOUND = (
    detections((A, 0.95, POLYP), (B, 0.85, POLYP)),
    detections(),
    detections((A, 0.75, POLYP)),
    detections((C, 0.65, POLYP), (C, 0.55, NODULE)),
)
"""A true polyp, a nodule taken for a polyp; a missed polyp; a true polyp; two false positives."""


def four_images(found: Sequence[Detections] = FOUND, *, novel: tuple[int, ...] = ()) -> ScoredSplit:
    """Return three polyps and one nodule in four images of two sources; the second one shows no nodules."""
    sources = tuple(
        Source(name, Path(name), Path(name), modality, ids, "unstated", {})
        for name, modality, ids in (
            ("scopes", Modality.ENDOSCOPY, (POLYP, NODULE)),
            ("slides", Modality.HISTOPATHOLOGY, (POLYP,)),
        )
    )
    samples = (
        sample(0, 0, (A, POLYP), (B, NODULE)),
        sample(0, 1, (A, POLYP)),
        sample(1, 2, (A, POLYP)),
        sample(1, 3),
    )
    dataset = Dataset(
        name="four",
        classes=("polyp", "nodule"),
        synonyms={},
        sources=sources,
        samples={"train": (), "val": samples, "test": ()},
        presence=np.array([[1, 1], [1, -1]], dtype=np.int8),
        novel=novel,
    )
    return ScoredSplit(dataset, samples, found, max_det=100)
