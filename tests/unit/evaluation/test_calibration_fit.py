"""Classes that are searched if none is named, marked by the fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medrov_cli.core.evaluation.calibration_fit import default_vocabulary
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.weights.metadata import ClassEntry
from scored_splits import four_images

ENTRIES = tuple(ClassEntry(name) for name in ("Polyp", "nodule", "liver"))


def with_training_boxes(polyps: int, nodules: int) -> ScoredSplit:
    split = four_images()
    names = split.dataset.classes
    labels = np.array([names.index("polyp")] * polyps + [names.index("nodule")] * nodules)
    sample = replace(split.samples[0], labels=labels, boxes_xyxy=np.zeros((len(labels), 4), np.float32))
    dataset = replace(split.dataset, samples={**split.dataset.samples, "train": (sample,)})
    return replace(split, dataset=dataset)


@pytest.mark.parametrize(("boxes", "is_default"), [(9, False), (10, True)])
def test_a_class_that_is_rare_in_training_is_searched_only_by_name(boxes: int, is_default: bool) -> None:
    marked = default_vocabulary(ENTRIES, with_training_boxes(boxes, 20))
    # One nodule that is not found is too few for a judgement; the dataset has no liver.
    assert [(entry.name, entry.is_default) for entry in marked] == [
        ("Polyp", is_default),
        ("nodule", True),
        ("liver", True),
    ]


def test_a_class_that_is_not_found_is_searched_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrov_cli.core.evaluation.calibration_fit.MIN_TRUTHS", 1)
    marked = default_vocabulary(ENTRIES, with_training_boxes(20, 20))
    assert [entry.is_default for entry in marked] == [True, False, True]


def test_without_a_training_split_only_accuracy_counts() -> None:
    assert all(entry.is_default for entry in default_vocabulary(ENTRIES, four_images()))
