"""What is timed: weights with classes in an engine, opened as ``detect`` opens them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.model_file import read_model_file
from medrov_cli.core.prediction.open_predictor import open_parts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.values import Variant
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import WeightsMetadata

IOU, MAX_DET = SelectionSettings().iou, SelectionSettings().max_det
"""Both as ``detect`` has them by default, and ultralytics' predictor as well."""

_SEED = 20250711  # any: only that it stays the same matters


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
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
    def from_settings(cls, config: BenchmarkSettings) -> BenchmarkModel:
        """Return what a benchmark times.

        See :func:`medrov_cli.core.weights.resolution.resolve` for errors.
        """
        path = resolution.resolve(config.weights)
        metadata = container.read_metadata(path)
        stored = None if config.classes is not None else ClassList.from_weights(path, metadata)
        return cls(
            path,
            metadata,
            stored or synthetic_classes(config.classes or 1),
            config.runtime.imgsz or metadata.imgsz,
        )


def synthetic_classes(count: int) -> ClassList:
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


def open_model(
    model: BenchmarkModel, variant: Variant, *, device: str, many: bool, batch: int | None
) -> Predictor:
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
    file = read_model_file(variant.exported or model.path)
    runtime = RuntimeSettings(
        device=device,
        engine=variant.engine,
        precision=variant.precision,
        imgsz=None if variant.exported else model.imgsz,
        batch=batch if many else 1,
    )
    selection = SelectionSettings(model.conf, model.raw_scores, IOU, MAX_DET)
    classes = model.classes if file.classes is None else None
    return Predictor(open_parts(file, classes, runtime, selection, many=many))
