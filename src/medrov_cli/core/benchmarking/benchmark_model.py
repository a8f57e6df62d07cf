"""Weights with classes that are timed, opened in an engine as in ``detect``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.learned_classes import LearnedClasses
from medrov_cli.core.prediction.model_file import WeightsFile, read_model_file
from medrov_cli.core.prediction.open_predictor import open_parts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.records.frame import Float32Array
from medrov_cli.core.settings.benchmark import BenchmarkSettings
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.values import Variant
from medrov_cli.core.weights import container, resolution
from medrov_cli.core.weights.metadata import WeightsMetadata

IOU, MAX_DET = SelectionSettings().iou, SelectionSettings().max_det
"""Defaults of ``detect``, and of ultralytics' predictor."""

_SEED = 20250711  # any fixed number


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """Weights and classes before they are opened in an engine.

    Attributes
    ----------
    path, metadata
        Path and metadata of the weights file.
    classes
        Classes of the detector.
    imgsz
        Side of the square model input, in pixels.
    conf
        Minimum score; null: that of each class.
    raw_scores
        Whether scores are not calibrated.
    learned
        Learned classes in addition to ``classes``; null: none.
    rectangles
        Whether the model input has the shape of each image; null: as in ``detect``.
    """

    path: Path
    metadata: WeightsMetadata
    classes: ClassList
    imgsz: int
    conf: float | None = None
    raw_scores: bool = False
    learned: LearnedClasses | None = None
    rectangles: bool | None = None

    @classmethod
    def from_settings(cls, config: BenchmarkSettings) -> BenchmarkModel:
        """Return the model of a benchmark.

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
            learned=LearnedClasses.read(config.learned, WeightsFile.read(path)),
            rectangles=config.runtime.rectangles,
        )


def synthetic_classes(count: int) -> ClassList:
    """Return a number of synthetic classes, equal in all runs.

    Each embedding is the mean of two different texts of the shipped vocabulary, normalised to L2 norm 1. They
    are as similar to each other as names of real classes, and more than the lexicon contains.
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
        names=tuple(f"synthetic class {number}" for number in range(1, count + 1)),
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
        Model, engine with its precision, and device.
    many
        Whether the engine is opened for several parallel images; otherwise for one image at a time.
    batch
        Images per forward pass; null: as in ``detect``.
    """
    file = read_model_file(variant.exported or model.path)
    runtime = RuntimeSettings(
        device=device,
        engine=variant.engine,
        precision=variant.precision,
        imgsz=None if variant.exported else model.imgsz,
        rectangles=model.rectangles,
        batch=batch if many else 1,
    )
    selection = SelectionSettings(model.conf, model.raw_scores, IOU, MAX_DET)
    classes = model.classes if file.classes is None else None
    learned = model.learned if file.exported is None else None
    return Predictor(open_parts(file, classes, runtime, selection, many=many, learned=learned))
