"""Fit of box maps on views whose boxes differ from the examples by a rule."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medrov_cli.core.learning.box_fit import fit_box_map
from medrov_cli.core.learning.views import ExampleView
from medrov_cli.core.records.regions import centres_of

IMGSZ = 64


def view_of(seed: int, network_box: NDArray[np.float64], labels: tuple[int, ...] = (0,)) -> ExampleView:
    """Return a view with examples of ten pixels; the box of the network is in units of the example."""
    rng = np.random.default_rng(seed)
    centres = centres_of(IMGSZ)
    places = rng.permutation(9)[: len(labels)]
    corners = np.stack((places % 3, places // 3), 1) * 20.0 + rng.uniform(2, 6, (len(labels), 2))
    truth = np.concatenate((corners, corners + 10), 1)
    boxes = np.concatenate((centres - 2, centres + 2), 1)
    for example in truth:
        inside = ((centres > example[:2]) & (centres < example[2:])).all(1)
        boxes[inside] = example[[0, 1, 0, 1]] + 10 * network_box
    vectors = np.zeros((len(centres), 4), np.float16)
    own = np.array(labels)
    known = np.ones(2, dtype=bool)
    return ExampleView(seed, boxes.astype(np.float32), vectors, truth, own, np.zeros((0, 4)), known)


def test_larger_and_shifted_boxes_are_mapped_to_the_examples() -> None:
    network_box = np.array([-0.2, 0.1, 1.4, 1.0])
    views = [view_of(number, network_box) for number in range(5)]
    own = fit_box_map(views, 0, IMGSZ)
    assert own is not None
    shown = view_of(9, network_box)
    box = shown.truth_xyxy[:, [0, 1, 0, 1]] + 10 * network_box
    np.testing.assert_allclose(own.apply(box, IMGSZ), shown.truth_xyxy, atol=0.05)
    np.testing.assert_allclose(own.apply(box * 7, IMGSZ * 7), shown.truth_xyxy * 7, atol=0.35)


def test_right_boxes_stay() -> None:
    views = [view_of(number, np.array([0.0, 0.0, 1.0, 1.0]), (0, 1)) for number in range(3)]
    own = fit_box_map(views, 0, IMGSZ)
    assert own is not None
    np.testing.assert_allclose(own.apply(views[0].truth_xyxy, IMGSZ), views[0].truth_xyxy, atol=1e-4)


def test_boxes_elsewhere_give_no_map() -> None:
    """Nothing that the network drew touches an example: its nearest anchors stand for it."""
    assert fit_box_map([view_of(0, np.array([200.0, 200.0, 201.0, 201.0]))], 0, IMGSZ) is None


@pytest.mark.parametrize("labels", [(), (1, 1)])
def test_class_without_an_example_has_no_map(labels: tuple[int, ...]) -> None:
    assert fit_box_map([view_of(0, np.array([0.0, 0.0, 1.0, 1.0]), labels)], 0, IMGSZ) is None
