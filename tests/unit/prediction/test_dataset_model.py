"""Classes of a dataset in a model with fixed classes."""

from __future__ import annotations

import pytest

from medrov_cli.core.prediction.column_engine import ABSENT
from medrov_cli.core.prediction.dataset_model import columns_of
from medrov_cli.core.weights.metadata import ClassEntry

CLASSES = (
    ClassEntry("lung nodule", ("lung nodule", "pulmonary nodule", "nodule")),
    ClassEntry("pulmonary nodule", ("nodule",)),
    ClassEntry("Mass"),
    ClassEntry("mass"),
)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["lung nodule", "pulmonary nodule"], [0, 1]),  # a name is found before the synonyms of other classes
        (["Pulmonary Nodule", "Nodule"], [1, 0]),
        (["mass", "Mass", "MASS"], [3, 2, 2]),
        (["polyp"], [ABSENT]),
    ],
)
def test_columns_are_found_by_name_then_by_synonym(names: list[str], columns: list[int]) -> None:
    assert columns_of(CLASSES, names) == columns
