"""What is timed: weights with classes in an engine, opened as ``detect`` opens them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medrov_cli.core.prediction.classes import ClassList, stored_classes
from medrov_cli.core.prediction.opening import open_session
from medrov_cli.core.prediction.session import Session
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.benchmark import BenchmarkConfig, Variant
from medrov_cli.core.settings.detect import DetectConfig
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import WeightsMetadata

IOU = 0.7
MAX_DET = 300
"""Both as ``detect`` has them by default, and ultralytics' predictor as well."""

_SEED = 20250711  # any: only that it stays the same matters


@dataclass(frozen=True, slots=True)
class Model:
    """Weights and classes, not in an engine yet.

    Attributes
    ----------
    path, metadata
        The weights file.
    classes
        What to find.
    imgsz
        Side of the square model input, in pixels.
    conf
        Lowest score; null: each class's own.
    raw_scores
        Show scores as the network gives them.
    """

    path: Path
    metadata: WeightsMetadata
    classes: ClassList
    imgsz: int
    conf: float | None = None
    raw_scores: bool = False

    @classmethod
    def of(cls, config: BenchmarkConfig) -> Model:
        """Return what a benchmark times.

        See :func:`medrov_cli.core.weights.resolution.resolve` for errors.
        """
        path = resolution.resolve(config.weights)
        metadata = container.read_metadata(path)
        stored = None if config.classes is not None else stored_classes(path, metadata)
        return cls(path, metadata, stored or made_up(config.classes or 1), config.imgsz or metadata.imgsz)


def made_up(count: int) -> ClassList:
    """Return so many made-up classes, the same ones every time.

    Each embedding is the mean of two different texts of the shipped vocabulary, brought back to L2
    norm 1: as close to one another as names of findings are, and more of them than the lexicon has.
    """
    from medrov_cli.core.text.embedding import embed_texts
    from medrov_cli.core.text.lexicon import lexicon

    texts = sorted({text for entry in lexicon() for text in entry.texts})
    rows = embed_texts(texts, offline=True)
    rng = np.random.default_rng(_SEED)
    first = rng.integers(len(texts), size=count)
    second = (first + rng.integers(1, len(texts), size=count)) % len(texts)
    means = rows[first] + rows[second]
    embeddings: Float32Array = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    return ClassList(
        names=tuple(f"made-up class {number}" for number in range(1, count + 1)),
        synonyms=((),) * count,
        modalities=(frozenset(),) * count,
        embeddings=embeddings,
        asked=True,
        text_encoder="none",
    )


def open_subject(model: Model, variant: Variant, *, device: str, many: bool, batch: int | None) -> Session:
    """Open a model in an engine, as ``detect`` does.

    Parameters
    ----------
    model, variant, device
        What, and where.
    many
        For many images, several side by side; otherwise for one image at a time.
    batch
        Images a forward pass; null: as ``detect`` chooses it.
    """
    config = DetectConfig(
        ("-",),  # no input: only what is opened for one is wanted
        weights=str(variant.exported or model.path),
        imgsz=None if variant.exported else model.imgsz,
        device=device,
        engine=variant.engine,
        precision=variant.precision,
        batch=batch if many else 1,
        conf=model.conf,
        raw_scores=model.raw_scores,
        iou=IOU,
        max_det=MAX_DET,
    )
    return open_session(config, classes=model.classes, many=many)
