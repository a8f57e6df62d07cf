"""Metrics of an epoch, and metadata of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.metrics.source_scores import SourceScore
from medrov_cli.core.settings.train import TrainSettings
from medrov_cli.core.text.encoders import encoder_identity
from medrov_cli.core.training.data.prompting import ClassTexts
from medrov_cli.core.training.object_scales import measure_scales
from medrov_cli.core.training.trainer import ADDED, LOSS_TERMS
from medrov_cli.core.weights.metadata import (
    ArchitectureInfo,
    ClassEntry,
    DatasetEntry,
    TextEncoderInfo,
    TrainingInfo,
    WeightsMetadata,
)

FITNESS_MIN_IMAGES = 10
"""Minimum number of validation images of a source that counts for the best epoch; smaller sources are too
noisy."""


def metrics_entry(
    epoch: int, means: Mapping[str, float], scores: Mapping[str, SourceScore], dataset: Dataset
) -> dict[str, Any]:
    """Return one line of the metrics.

    Parameters
    ----------
    epoch
        0-based.
    means
        Means of the values of a step, see :data:`medrov_cli.core.training.trainer.TERMS`.
    scores
        Scores by source.
    dataset
        Dataset with the novel classes, which do not count for the best epoch.
    """
    unseen = {dataset.classes[row] for row in dataset.novel}
    base = _only(scores, lambda name: name not in unseen)
    return {
        "epoch": epoch + 1,
        "loss": {term: means[term] for term in LOSS_TERMS},
        "added_a_step": {kind: means[kind] for kind in ADDED},
        "val": {
            name: {"images": s.images, "map50": s.map50, "map50_95": s.map50_95} for name, s in scores.items()
        },
        **_means(scores),
        "base": _means(base),
        "novel": _means(_only(scores, lambda name: name in unseen)) if unseen else None,
        "fitness": fitness(base),
    }


def _only(scores: Mapping[str, SourceScore], wanted: Callable[[str], bool]) -> dict[str, SourceScore]:
    """Return the scores of some classes; sources without any of them are left out."""
    parts = {
        source: SourceScore(score.images, {name: ap for name, ap in score.classes.items() if wanted(name)})
        for source, score in scores.items()
    }
    return {source: score for source, score in parts.items() if score.classes}


def _means(scores: Mapping[str, SourceScore]) -> dict[str, float]:
    """Return the means over sources."""
    return {
        "map50": _mean([s.map50 for s in scores.values()]),
        "map50_95": _mean([s.map50_95 for s in scores.values()]),
    }


def fitness(scores: Mapping[str, SourceScore]) -> float:
    """Return the criterion of the best epoch: the mean of mAP50 and mAP50-95 over the larger sources."""
    counted = [s for s in scores.values() if s.images >= FITNESS_MIN_IMAGES] or list(scores.values())
    return _mean([(s.map50 + s.map50_95) / 2 for s in counted])


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def describe(
    config: TrainSettings, dataset: Dataset, texts: ClassTexts, entry: dict[str, Any]
) -> WeightsMetadata:
    """Return the metadata of the weights of an epoch."""
    encoder = encoder_identity(config.text_encoder, offline=config.offline)
    return WeightsMetadata(
        name=config.name,
        architecture=ArchitectureInfo(config.model, config.text_adapter, config.negatives.background),
        text_encoder=TextEncoderInfo(
            encoder.spec, encoder.name, encoder.revision, encoder.width, encoder.context_length
        ),
        imgsz=config.imgsz,
        licence="AGPL-3.0-only; research use only, the images' licences apply",
        created_by=f"medrov {__version__}",
        vocabulary=tuple(
            ClassEntry(
                name,
                tuple(texts.texts[i] for i in texts.rows[row]),
                dataset.modalities_of(row),
                mpp=scale.mpp,
                object_px=scale.object_px,
            )
            for row, (name, scale) in enumerate(
                zip(dataset.classes, measure_scales(dataset, config.imgsz), strict=True)
            )
        ),
        training=TrainingInfo(
            datasets=tuple(DatasetEntry(s.name, s.licence, s.modality) for s in dataset.sources),
            notes=f"dataset {dataset.name}; {RESEARCH_NOTICE}",
        ),
        results={"val": {key: entry[key] for key in ("epoch", "map50", "map50_95", "val")}},
    )
