"""Calibration and operating points, fitted on a split and written into weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.evaluation.kind_fitting import fit_kinds
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.calibration import MIN_TRUTHS, Fold, fit_calibration
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.metrics.operating import ClassScores, best_f1
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.records.score_maps import CalibrationInfo
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.weights import container
from medrov_cli.core.weights.metadata import ClassEntry

MIN_TRAINING_BOXES = 10
"""Smallest number of training boxes of a class that is searched if no class is named."""

MIN_F1 = 0.2
"""Smallest best F1, on validation images, of a class that is searched if no class is named."""

LIMIT_FOLDS = 5
"""Number of parts of the patients; each is held out once, to measure the limit on other patients."""


def write_fitted(
    split: ScoredSplit,
    detector: DatasetModel,
    config: EvaluateSettings,
    path: Path,
    advance: Progress = no_progress,
) -> CalibrationInfo:
    """Fit calibration, operating points and stated image kinds, and write weights with them.

    Parameters
    ----------
    split
        The scored split.
    detector
        Weights whose detections the split has.
    config
        Method of the calibration, and the limit of false positives of absent classes.
    path
        The new weights file.
    advance
        Called with the images done, their total, and what is being done.
    """

    def scores(on: BoolArray | None = None) -> list[ClassScores]:
        return [split.class_scores(label, on) for label in range(len(split.dataset.classes))]

    limit = config.absent_limit
    parts = [] if limit is None else split.folds(LIMIT_FOLDS)
    info = fit_calibration(
        split.dataset.classes,
        scores(),
        images=len(split.samples),
        absent_limit=limit,
        folds=[Fold(scores(~held_out), scores(held_out), int((~held_out).sum())) for held_out in parts],
        method=config.calibration,
        dataset=split.dataset.name,
        split=config.data.split,
        imgsz=detector.imgsz,
    )
    metadata = dataclasses.replace(
        detector.file.metadata,
        calibration=info,
        vocabulary=default_vocabulary(detector.file.metadata.vocabulary, split),
    )
    tensors = container.load_tensors(detector.file.path)
    if split.dataset.kinds:
        kinds = fit_kinds(detector, split.dataset, config.data.split, advance)
        metadata = dataclasses.replace(metadata, kinds=kinds.info)
        tensors = container.with_kinds(tensors, kinds.tensors)
    container.save(path, tensors, metadata)
    return info


def default_vocabulary(entries: Sequence[ClassEntry], split: ScoredSplit) -> tuple[ClassEntry, ...]:
    """Return the vocabulary of the weights, with the classes marked that are searched if none is named.

    These are all classes but those with fewer than `MIN_TRAINING_BOXES` boxes in the training split, and
    those whose best F1 on the scored split is below `MIN_F1`. A class that the dataset does not have, or
    with too few objects for a judgement, keeps its mark.

    Parameters
    ----------
    entries
        Classes of the weights.
    split
        The scored split.
    """
    dataset = split.dataset
    trained = [sample.labels for sample in dataset.samples.get("train", ())]
    boxes = np.bincount(np.concatenate([*trained, []]).astype(np.int64), minlength=len(dataset.classes))
    labels = {name.casefold(): label for label, name in enumerate(dataset.classes)}
    marked = []
    for entry in entries:
        label = labels.get(entry.name.casefold())
        is_default = entry.is_default
        if label is not None:
            own = split.class_scores(label)
            best = best_f1(own.scores, own.is_right, own.truths)
            is_missed = own.truths >= MIN_TRUTHS and (best is None or best.f1 < MIN_F1)
            is_default = not is_missed and (not trained or bool(boxes[label] >= MIN_TRAINING_BOXES))
        marked.append(dataclasses.replace(entry, is_default=is_default))
    return tuple(marked)
