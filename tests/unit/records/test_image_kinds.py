"""The classifier of image kinds, with numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.kind_rule import KindRule
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.records.image_kinds import (
    KindClassifier,
    KindEntry,
    KindsInfo,
    KindTensors,
    correct_features,
)
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.choices import Modality, ModalitySource

SQUARE = Letterbox.fit((64, 64), 64)


def classifier(limit: float = 100.0) -> KindClassifier:
    """Return a classifier of one channel: its logits are z, -z and -2, and z is its mean, minus 1."""
    tensors = KindTensors(
        padding=np.array([0.5, 0.25], np.float32),
        offset=np.array([1, 0], np.float32),
        projection=np.array([[1], [0]], np.float32),
        weight=np.array([[1, -1, 0]], np.float32),
        bias=np.array([0, 0, -2], np.float32),
        centres=np.array([[2], [-2]], np.float32),
        unknown=np.array([1, 1, limit], np.float32),
    )
    kinds = (
        KindEntry("chest CT", Modality.CT, ("lung nodule", "heart")),
        KindEntry("blood smear", Modality.MICROSCOPY, ("red blood cell",)),
    )
    return KindClassifier(KindsInfo(1, "toy", "val", 64, 0.0, kinds), tensors)


def pooled(z: float) -> np.ndarray:
    """Return the pooled features of a constant channel."""
    return np.array([z + 1, (z + 1) ** 2], np.float32)


def test_the_probability_is_the_softmax() -> None:
    kind = classifier().classify(pooled(2.0), 1.0)
    assert (kind.name, kind.modality) == ("chest CT", Modality.CT)
    assert kind.probability == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(-2) + np.exp(-2)), abs=1e-6)


def test_a_stated_modality_has_odds_of_100() -> None:
    assert classifier().classify(pooled(2.0), 1.0, Modality.MICROSCOPY).name == "blood smear"  # e^4 < 100
    kind = classifier().classify(pooled(3.0), 1.0, Modality.MICROSCOPY)  # e^6 > 100
    assert kind.name == "chest CT"
    total = np.exp(3) + 100 * np.exp(-3) + np.exp(-2)
    assert kind.probability == pytest.approx(np.exp(3) / total, abs=1e-6)


@pytest.mark.parametrize(("limit", "is_unknown"), [(-5.1, True), (-4.9, False)])
def test_beyond_the_limit_an_image_is_of_no_kind(limit: float, is_unknown: bool) -> None:
    # z = 3: the squared distance is 1, its logarithm 0; the margin is -2 - 3 = -5.
    kind = classifier(limit).classify(pooled(3.0), 1.0)
    assert kind.is_unknown == is_unknown
    assert (kind.name == "unknown") == is_unknown
    assert (kind.probability is None) == is_unknown


def test_the_border_is_taken_out_of_the_features() -> None:
    inside = np.array([[3.0, 1.0]])  # mean 2 and mean square 5 of two cells: deviation 1
    border = np.full((1, 6), 0.5)
    cells = np.concatenate((inside, border), 1)
    square = np.array([[cells.mean(), (cells**2).mean()]], np.float32)
    found = correct_features(square, np.array([2 / 8]), np.array([0.5, 0.25], np.float32))
    np.testing.assert_allclose(found, [[2, 1]], atol=1e-5)


def test_an_image_that_contradicts_its_header_has_the_modality_of_its_kind() -> None:
    classes = ClassList.from_embeddings(["lung nodule", "red blood cell", "spoon"])
    frame = Frame(
        np.zeros((64, 64, 3), np.uint8),
        "a.dcm",
        modality=Modality.MICROSCOPY,
        modality_source=ModalitySource.DICOM,
        warnings=("No header.",),
    )
    found, kind, columns = KindRule(classes, classifier()).apply(frame, SQUARE, pooled(3.0))
    assert kind is not None
    assert (found.modality, found.modality_source) == (Modality.CT, ModalitySource.IMAGE_KIND)
    assert columns.tolist() == [0, 1, 2]  # named classes
    assert found.warnings == (
        "No header.",
        "requested, but not expected in chest CT: 'red blood cell'",
        "modality_contradicted: the file states microscopy, the image kind is chest CT (CT)",
    )


def test_without_features_the_stated_modality_counts() -> None:
    frame = Frame(np.zeros((64, 64, 3), np.uint8), "array", modality=Modality.CT)
    rule = KindRule(ClassList.from_embeddings(["lung nodule"]), classifier())
    found, kind, columns = rule.apply(frame, SQUARE, None)
    assert (kind, columns.tolist()) == (None, [0])
    assert (found.modality, found.modality_source) == (Modality.CT, ModalitySource.FILE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("bias", np.zeros(2, np.float32)), ("offset", np.array([np.nan, 0], np.float32))],
)
def test_tensors_of_another_form_are_refused(name: str, value: np.ndarray) -> None:
    arrays = classifier().tensors.as_arrays() | {name: value}
    with pytest.raises(ValueError, match=f"{name!r} of the classifier of kinds"):
        KindTensors.from_arrays(arrays, 2)
