"""From the classes that are worked into a model to those of a dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medrov_cli.core.prediction.split_detection import Predictor
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.weights.metadata import ClassEntry

ABSENT = -1
"""The column of a class that a model does not have."""


def columns_of(classes: Sequence[ClassEntry], names: Sequence[str]) -> list[int]:
    """Return a model's column of each name, in any case of its letters; ``ABSENT`` where there is none.

    Parameters
    ----------
    classes
        Of the model, in the order of its columns; their synonyms count as names of theirs.
    names
        Classes of a dataset.
    """
    known: dict[str, int] = {}
    for column, entry in enumerate(classes):
        for text in (entry.name, *entry.synonyms):
            known.setdefault(text.casefold(), column)
    return [known.get(name.casefold(), ABSENT) for name in names]


def with_columns(predict: Predictor, columns: Sequence[int]) -> Predictor:
    """Return a detector of a dataset's classes, in their order; an absent one has score 0 everywhere."""
    absent = np.array(columns) == ABSENT
    picked = np.where(absent, 0, columns)

    def predict_picked(images_rgb: UInt8Array, floor: float) -> list[Candidates]:
        found = []
        for candidates in predict(images_rgb, floor):
            scores = candidates.scores[:, picked]
            scores[:, absent] = 0
            found.append(Candidates(candidates.boxes_xyxy, scores))
        return found

    return predict_picked
