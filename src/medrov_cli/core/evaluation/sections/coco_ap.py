"""Average precision and recall of COCO: by class, source and modality, and their means."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.average_precision import AveragePrecision, mean_of
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.settings.choices import Modality

Figures = dict[str, float | None]
"""Average precisions and recalls by name."""


def coco_section(split: ScoredSplit, scored: BoolArray) -> dict[str, Any]:
    """Return COCO's figures by class, source and modality, and their means.

    Parameters
    ----------
    split
        The scored split.
    scored
        bool, (images, classes): classes that are scored on each image; this is the protocol.
    """
    by_class = {
        label: score
        for label in range(len(split.dataset.classes))
        if (score := split.scorer.of_class(label, scored[:, label])) is not None
    }
    sources = _sources(split, scored)
    modalities = _modalities(split, scored)
    return {
        "macro": figures(mean_of(list(by_class.values()))),
        "micro": figures(split.scorer.pooled(scored)),
        "macro_sources": figures(mean_of([mean for mean, _ in sources.values()])),
        "macro_modalities": figures(mean_of([mean for mean, _ in modalities.values()])),
        "classes": {
            split.dataset.classes[label]: {**figures(score), **_counts(split, scored[:, label], [label])}
            for label, score in by_class.items()
        },
        "sources": {name: entry for name, (_, entry) in sources.items()},
        "modalities": {name: entry for name, (_, entry) in modalities.items()},
    }


def _sources(split: ScoredSplit, scored: BoolArray) -> dict[str, tuple[AveragePrecision, dict[str, Any]]]:
    entries = {}
    for row, source in enumerate(split.dataset.sources):
        here = split.sources == row
        scores = {
            label: score
            for label in source.class_ids
            if (score := split.scorer.of_class(label, here & scored[:, label])) is not None
        }
        mean = mean_of(list(scores.values()))
        if mean is None:
            continue
        classes = {split.dataset.classes[label]: figures(score) for label, score in scores.items()}
        head = {"modality": source.modality.value, **_counts(split, here, source.class_ids)}
        entries[source.name] = (mean, {**figures(mean), **head, "classes": classes})
    return entries


def _modalities(split: ScoredSplit, scored: BoolArray) -> dict[str, tuple[AveragePrecision, dict[str, Any]]]:
    entries = {}
    labels = range(len(split.dataset.classes))
    for modality in Modality:
        here = split.images_of(modality)
        mean = mean_of([split.scorer.of_class(label, here & scored[:, label]) for label in labels])
        if mean is not None:
            entries[modality.value] = (mean, {**figures(mean), **_counts(split, here, labels)})
    return entries


def _counts(split: ScoredSplit, images: BoolArray, labels: Sequence[int]) -> dict[str, int]:
    table = split.table
    own = images[table.truth_image] & np.isin(table.truth_label, labels) & ~table.is_crowd
    return {"truths": int(own.sum()), "images": int(images.sum())}


def figures(score: AveragePrecision | None) -> Figures:
    """Return COCO's figures by name; all null without a score."""
    names = [field.name for field in dataclasses.fields(AveragePrecision)]
    return {name: None if score is None else getattr(score, name) for name in names}
