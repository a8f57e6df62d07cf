"""Change of mAP50 by an export, on images of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.progress import Progress
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.truth import require_readable, with_truth
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.metrics.source_scores import SourceScore, score_sources
from medrov_cli.core.prediction.column_engine import ABSENT, ColumnEngine
from medrov_cli.core.prediction.dataset_model import columns_of
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.settings.choices import Split
from medrov_cli.core.settings.groups import COCO_BATCH, COCO_SELECTION
from medrov_cli.core.weights.metadata import ClassEntry


def map50_change(
    reference: Engine,
    exported: Engine,
    dataset: Dataset,
    split: Split,
    classes: Sequence[ClassEntry],
    progress: Progress,
) -> dict[str, Any]:
    """Return mAP50 of both models, its change, and its images and classes.

    It is the mean over the classes that the model and a source share.

    Parameters
    ----------
    reference, exported
        Engines with the same classes.
    dataset, split
        Dataset and split of the images.
    classes
        Classes of the engines, in the order of their columns.
    progress
        Called with the number of processed images, their total and the stage.

    Raises
    ------
    MedrovError
        ``USAGE`` if the model has no class of the dataset.
    """
    columns = columns_of(classes, dataset.classes)
    scores = {}
    for what, engine in (("mAP50 of the weights", reference), ("mAP50 of the export", exported)):
        by_source = _score(ColumnEngine(engine, columns), dataset, split, what, progress)
        scores[what] = [
            score.ap50
            for source in by_source.values()
            for name, score in source.classes.items()
            if columns[dataset.classes.index(name)] != ABSENT
        ]
    before, after = scores.values()
    if not before:
        raise usage_error(
            f"--data: none of the model's classes has a box in {dataset.name}, {split}",
            "Give a dataset with classes of the model, or leave --data out.",
        )
    first, second = float(np.mean(before)), float(np.mean(after))
    return {
        "map50_weights": round(first, 5),
        "map50": round(second, 5),
        "map50_change": round(second - first, 5),
        "map50_classes": len(before),
    }


def _score(
    engine: Engine, dataset: Dataset, split: Split, stage: str, progress: Progress
) -> dict[str, SourceScore]:
    """Return the scores of the dataset's classes, in their order, source by source."""
    samples = dataset.samples[split]
    predictor = Predictor.from_engine(engine, dataset.classes, COCO_SELECTION)
    results = []
    with predictor, closing(predictor.stream(samples, batch=COCO_BATCH, batch_by="position")) as stream:
        for sample, item in zip(samples, stream, strict=True):
            results.append(with_truth(sample, require_readable(item)))
            if len(results) % COCO_BATCH == 0 or len(results) == len(samples):
                progress(len(results), len(samples), stage)
    sources = [(source.name, source.class_ids) for source in dataset.sources]
    return score_sources(results, [sample.source_id for sample in samples], sources, dataset.classes)
