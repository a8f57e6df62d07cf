"""The report's sections on average precision: COCO's figures, base and novel, NMS-AP, PR curves."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.evaluation.reference_ap import reference_scores
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.average_precision import AveragePrecision, CocoScorer, mean_of
from medrov_cli.core.metrics.bootstrap import average_precision_samples, filled, interval
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.matching import FOUND, WRONG
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.suppression import nms
from medrov_cli.core.settings.choices import Modality

NMS_IOU = 0.5
"""Of two boxes of any classes that overlap more, NMS-AP keeps the better (OVDEval, arXiv 2308.13177)."""

VERIFY_TOLERANCE = 1e-9

Figures = dict[str, float | None]


def coco_section(scene: ScoredSplit, scored: BoolArray) -> dict[str, Any]:
    """Return COCO's figures by class, source and modality, and their means, under one protocol."""
    by_class = {
        label: score
        for label in range(len(scene.dataset.classes))
        if (score := scene.scorer.of_class(label, scored[:, label])) is not None
    }
    sources = _sources(scene, scored)
    modalities = _modalities(scene, scored)
    return {
        "macro": figures(mean_of(list(by_class.values()))),
        "micro": figures(scene.scorer.pooled(scored)),
        "macro_sources": figures(mean_of([mean for mean, _ in sources.values()])),
        "macro_modalities": figures(mean_of([mean for mean, _ in modalities.values()])),
        "classes": {
            scene.dataset.classes[label]: {**figures(score), **_counts(scene, scored[:, label], [label])}
            for label, score in by_class.items()
        },
        "sources": {name: entry for name, (_, entry) in sources.items()},
        "modalities": {name: entry for name, (_, entry) in modalities.items()},
    }


def _sources(scene: ScoredSplit, scored: BoolArray) -> dict[str, tuple[AveragePrecision, dict[str, Any]]]:
    entries = {}
    for row, source in enumerate(scene.dataset.sources):
        here = scene.sources == row
        scores = {
            label: score
            for label in source.class_ids
            if (score := scene.scorer.of_class(label, here & scored[:, label])) is not None
        }
        mean = mean_of(list(scores.values()))
        if mean is None:
            continue
        classes = {scene.dataset.classes[label]: figures(score) for label, score in scores.items()}
        head = {"modality": source.modality.value, **_counts(scene, here, source.class_ids)}
        entries[source.name] = (mean, {**figures(mean), **head, "classes": classes})
    return entries


def _modalities(scene: ScoredSplit, scored: BoolArray) -> dict[str, tuple[AveragePrecision, dict[str, Any]]]:
    entries = {}
    labels = range(len(scene.dataset.classes))
    for modality in Modality:
        here = scene.images_of(modality)
        mean = mean_of([scene.scorer.of_class(label, here & scored[:, label]) for label in labels])
        if mean is not None:
            entries[modality.value] = (mean, {**figures(mean), **_counts(scene, here, labels)})
    return entries


def _counts(scene: ScoredSplit, images: BoolArray, labels: Sequence[int]) -> dict[str, int]:
    table = scene.table
    own = images[table.truth_image] & np.isin(table.truth_label, labels) & ~table.is_crowd
    return {"truths": int(own.sum()), "images": int(images.sum())}


def figures(score: AveragePrecision | None) -> Figures:
    """Return COCO's figures by name; all null where there is nothing to find."""
    names = [field.name for field in dataclasses.fields(AveragePrecision)]
    return {name: None if score is None else getattr(score, name) for name in names}


def open_vocabulary_section(scene: ScoredSplit, classes: Mapping[str, Figures]) -> dict[str, Any] | None:
    """Return the mean AP of base and novel classes and their harmonic mean; null without novel ones."""
    novel = {scene.dataset.classes[label] for label in scene.dataset.novel}
    if not novel:
        return None
    parts: dict[str, dict[str, Any]] = {}
    for part, names in (
        ("base", [name for name in classes if name not in novel]),
        ("novel", [name for name in classes if name in novel]),
    ):
        parts[part] = {"classes": len(names)} | {
            key: _mean([classes[name][key] for name in names]) for key in ("ap", "ap50")
        }
    parts["harmonic"] = {key: _harmonic(parts["base"][key], parts["novel"][key]) for key in ("ap", "ap50")}
    return parts


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _harmonic(first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return None
    return 2 * first * second / (first + second) if first + second else 0.0


def nms_section(scene: ScoredSplit, macro: Figures) -> dict[str, Any]:
    """Return AP after suppression across classes: what one object under several labels costs."""
    table = scene.table
    kept = np.zeros(len(table.label), dtype=bool)
    bounds = np.searchsorted(table.image, np.arange(table.images + 1))
    for start, end in itertools.pairwise(bounds):
        part = slice(start, end)
        rows = nms(
            table.xyxy[part], table.score[part], table.label[part], NMS_IOU, end - start, class_agnostic=True
        )
        kept[start + rows] = True
    scorer = CocoScorer(table.keep(kept), scene.max_det)
    labels = range(len(scene.dataset.classes))
    after = figures(mean_of([scorer.of_class(label, scene.scored[:, label]) for label in labels]))
    section: dict[str, Any] = {"iou": NMS_IOU, "ap": after["ap"], "ap50": after["ap50"]}
    for key in ("ap", "ap50"):
        before, now = macro[key], after[key]
        section[f"{key}_drop"] = None if before is None or now is None else before - now
    return section


def precision_recall_section(scene: ScoredSplit) -> dict[str, list[float]]:
    """Return the precision at 101 recalls, IoU 0.5, of each class."""
    curves = {}
    for label, name in enumerate(scene.dataset.classes):
        precision = scene.scorer.precision_at_recalls(label, scene.scored[:, label])
        if precision is not None:
            curves[name] = np.round(precision, 5).tolist()
    return curves


def ap50_samples(scene: ScoredSplit, weights: FloatArray) -> dict[str, FloatArray]:
    """Return the AP at IoU 0.5 of each class in each bootstrap sample, (samples,)."""
    matches, table = scene.scorer.matches, scene.table
    image, status = table.image[matches.rows], matches.status[0, 0]
    result = {}
    for label, name in enumerate(scene.dataset.classes):
        scored = scene.scored[:, label]
        precision = scene.scorer.precision_at_recalls(label, scored)
        if precision is None:
            continue
        truth = (table.truth_label == label) & ~table.is_crowd & scored[table.truth_image]
        rows = scene.scorer.rows_of(label, scored)
        samples = average_precision_samples(
            status[rows] == FOUND,
            status[rows] == WRONG,
            image[rows],
            np.bincount(table.truth_image[truth], minlength=table.images),
            weights,
        )
        result[name] = filled(samples, float(precision.mean()))
    return result


def macro_interval(samples: Mapping[str, FloatArray]) -> tuple[float, float] | None:
    """Return the interval of the mean over classes."""
    if not samples:
        return None
    return interval(np.mean(list(samples.values()), axis=0))


def verify_with_pycocotools(scene: ScoredSplit) -> float:
    """Compare every class's figures, everything scored, with pycocotools; return the largest difference.

    Raises
    ------
    MedrovError
        ``INTERNAL``: they differ by more than 1e-9.
    """
    labels = range(len(scene.dataset.classes))
    reference = reference_scores(scene.table, labels, scene.max_det)
    apart = 0.0
    for label in labels:
        ours = figures(scene.scorer.of_class(label, scene.everything[:, label]))
        theirs = figures(reference.get(label))
        for key, value in ours.items():
            other = theirs[key]
            both = value is not None and other is not None
            apart = max(apart, abs((value or 0) - (other or 0)) if both else float(value is not other))
    if apart > VERIFY_TOLERANCE:
        raise MedrovError(
            ErrorCode.INTERNAL,
            f"--verify: our average precision and pycocotools' differ by {apart:.2g}",
            "Please report this with the predictions.",
        )
    return apart
