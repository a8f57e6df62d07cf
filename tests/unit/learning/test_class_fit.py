"""Fit of one class with its validation, on views whose region vectors contain the class in one channel."""

from __future__ import annotations

import numpy as np
import pytest

from medrov_cli.core.learning.class_fit import ClassTask
from medrov_cli.core.learning.views import ExampleView, ViewSet
from medrov_cli.core.prediction.embedding_space import EmbeddingSpace, Vector
from medrov_cli.core.records.regions import centres_of

IMGSZ, CHANNELS = 64, 6


def view_of(image: int, kinds: int = 1, grown: float = 0) -> ExampleView:
    """Return a view with one box of 24 pixels, whose anchors have the class in the first channel.

    The boxes of the network are larger by ``grown`` pixels on each side.
    """
    rng = np.random.default_rng(image)
    centres = centres_of(IMGSZ)
    left, top = rng.integers(0, 36, 2)
    truth = np.array([[left, top, left + 24, top + 24]], dtype=np.float64)
    inside = ((centres > truth[:, :2] + 6) & (centres < truth[:, 2:] - 6)).all(1)
    own = truth + np.array([-grown, -grown, grown, grown])
    boxes = np.where(inside[:, None], own, np.concatenate((centres - 5, centres + 5), 1))
    vectors = rng.normal(0, 0.3, (len(centres), CHANNELS))
    vectors[inside, 0] += 4 * (-1) ** (image % kinds)
    return ExampleView(
        image,
        boxes.astype(np.float32),
        vectors.astype(np.float16),
        truth,
        np.array([0]),
        np.zeros((0, 4)),
        np.array([True]),
    )


def task(views: list[ExampleView], **changes: object) -> ClassTask:
    rng = np.random.default_rng(0)
    space = EmbeddingSpace(
        tuple(rng.normal(size=(8, CHANNELS)) for _ in range(3)), (np.zeros(8),) * 3, (-3.0,) * 3
    )
    text = Vector(np.zeros((3, CHANNELS)), np.full(3, -3.0))
    own = {
        "views": ViewSet(tuple(views), (), ()),
        "groups": list(range(len(views))),
        "folds": 3,
        "chooses": True,
    }
    return ClassTask("bump", 0, text, space=space, imgsz=IMGSZ, **(own | changes))  # type: ignore[arg-type]


def test_fit_finds_the_class_on_held_out_images() -> None:
    vectors, record = task([view_of(number) for number in range(6)]).fit()
    assert len(vectors) == record.vectors == 1
    assert (record.images, record.boxes, record.negatives) == (6, 6, 0)
    assert record.validation is not None
    assert record.validation.folds == 3
    assert record.validation.ap50 > 0.9
    assert record.validation.text_ap50 < 0.5
    assert record.calibration.f1 > 0.9
    assert not record.warnings


def test_boxes_are_mapped_where_that_finds_more() -> None:
    _, record = task([view_of(number) for number in range(6)]).fit()
    assert record.calibration.box_map is None
    _, record = task([view_of(number, grown=8) for number in range(6)]).fit()  # IoU 0.36
    assert record.validation is not None
    assert record.validation.ap50 > 0.9
    assert record.calibration.box_map is not None
    found = record.calibration.box_map.apply(np.array([[12.0, 12.0, 52.0, 52.0]]), IMGSZ)
    np.testing.assert_allclose(found, [[20, 20, 44, 44]], atol=0.2)
    _, record = task([view_of(number, grown=8) for number in range(6)], folds=0).fit()
    assert record.calibration.box_map is None  # nothing shows that it is right


def test_two_kinds_of_objects_get_several_vectors() -> None:
    _, record = task([view_of(number, kinds=2) for number in range(24)]).fit()
    assert record.vectors > 1
    assert record.validation is not None
    assert record.validation.ap50 > 0.9


def test_images_of_one_patient_are_held_out_together() -> None:
    views = [view_of(number) for number in range(4)]
    _, record = task(views, groups=[0, 0, 0, 0]).fit()
    assert record.validation is None
    assert "one image or patient" in record.warnings[0]
    _, record = task(views, groups=[0, 0, 1, 1]).fit()
    assert record.validation is not None
    assert record.validation.folds == 2


@pytest.mark.parametrize("chooses", [True, False])
def test_equal_tasks_give_equal_vectors(chooses: bool) -> None:
    views = [view_of(number) for number in range(4)]
    first, second = (task(views, chooses=chooses).fit()[0][0] for _ in range(2))
    np.testing.assert_array_equal(first.kernel, second.kernel)
    np.testing.assert_array_equal(first.constant, second.constant)
