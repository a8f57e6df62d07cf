"""Section of the report on image kinds: their accuracy, and false positives of impossible classes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from medrov_cli.core.datasets.presence import IMPOSSIBLE
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.detection_table import BoolArray
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.column_engine import ABSENT
from medrov_cli.core.prediction.dataset_model import DatasetModel, columns_of
from medrov_cli.core.prediction.kind_rule import possible_columns
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.image_kinds import ImageKind, KindClassifier
from medrov_cli.core.text.class_names import names_of_classes


def kind_section(
    scene: ScoredSplit, detector: DatasetModel | None, thresholds: FloatArray
) -> dict[str, Any] | None:
    """Return the accuracy of kinds and modalities, and what ``detect`` shows of impossible classes.

    The result is null if the dataset states no kinds, or the model does not classify them.

    Parameters
    ----------
    thresholds
        Operating point of each class, (classes,).
    """
    found = [own.kind for own in scene.detections]
    kinds = [kind for kind in found if kind is not None]
    classifier = None if detector is None else detector.file.kinds
    if detector is None or classifier is None or not scene.dataset.kinds or len(kinds) < len(found):
        return None
    true = [scene.dataset.kinds[source] for source in scene.sources]
    modalities = [scene.dataset.sources[source].modality for source in scene.sources]
    is_right = np.array([kind.name == name for kind, name in zip(kinds, true, strict=True)])
    has_modality = np.array([kind.modality is own for kind, own in zip(kinds, modalities, strict=True)])
    is_unknown = np.array([kind.is_unknown for kind in kinds])
    wrong = Counter((name, kind.name) for name, kind in zip(true, kinds, strict=True) if kind.name != name)
    searched = _vocabulary(scene, detector)
    shown = _shown_of_impossible(scene, kinds, classifier, searched, thresholds)
    return {
        "images": len(kinds),
        "kind_accuracy": round(float(is_right.mean()), 6),
        "modality_accuracy": round(float(has_modality.mean()), 6),
        "unknown": int(is_unknown.sum()),
        "impossible_per_image": round(shown / len(kinds), 6),
        "searched_classes": int(searched.sum()),
        "kinds": {
            name: {
                "images": int(own.sum()),
                "kind_accuracy": round(float(is_right[own].mean()), 6),
                "modality_accuracy": round(float(has_modality[own].mean()), 6),
                "unknown": int(is_unknown[own].sum()),
            }
            for name in sorted(set(true))
            if (own := np.array([other == name for other in true])).any()
        },
        "confused": [
            {"kind": name, "as": other, "images": count} for (name, other), count in wrong.most_common()
        ],
    }


def _vocabulary(scene: ScoredSplit, detector: DatasetModel) -> BoolArray:
    """Return which classes of the dataset the model searches without ``--classes``, bool, (classes,)."""
    entries = detector.file.classes or [
        entry for entry in detector.file.metadata.vocabulary if entry.is_default
    ]
    found: BoolArray = np.array(columns_of(entries, scene.dataset.classes)) != ABSENT
    return found


def _shown_of_impossible(
    scene: ScoredSplit,
    kinds: list[ImageKind],
    classifier: KindClassifier,
    searched: BoolArray,
    thresholds: FloatArray,
) -> int:
    """Return the number of detections of impossible classes that the vocabulary of the kinds leaves."""
    dataset, table = scene.dataset, scene.table
    classes = ClassList.from_embeddings(
        dataset.classes, synonyms=names_of_classes(dataset.classes, dataset.synonyms)
    )
    columns = possible_columns(classifier, classes)
    allowed = np.zeros((len(kinds), len(dataset.classes)), dtype=bool)
    for row, kind in enumerate(kinds):
        allowed[row, columns.get(kind.name, [])] = True
    is_impossible = dataset.presence[scene.sources] == IMPOSSIBLE
    counts = allowed & searched & is_impossible
    return int((counts[table.image, table.label] & (table.score >= thresholds[table.label])).sum())
