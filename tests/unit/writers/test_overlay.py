"""Overlays: boxes and labels in source pixels, on a copy."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.records.detections import Detections
from medrov_cli.core.writers.overlay import class_color, draw_detections, write_overlay

CLASSES = ("lung nodule", "polyp")


def found(*rows: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    """Return detections of class names, scores and boxes."""
    return Detections(
        np.array([box for *_, box in rows], dtype=float).reshape(-1, 4),
        np.array([score for _, score, _ in rows], dtype=float),
        np.array([CLASSES.index(name) for name, *_ in rows], dtype=np.int64),
        CLASSES,
    )


def grey_image(height: int = 300, width: int = 400) -> np.ndarray:
    return np.full((height, width, 3), 90, dtype=np.uint8)


def test_a_box_is_drawn_at_its_corners_in_the_colour_of_its_class() -> None:
    image = grey_image()
    drawn = draw_detections(image, found(("polyp", 0.9, (100, 150, 200, 250))))
    assert (image == 90).all()
    for row, column in ((150, 200), (250, 100), (250, 200), (200, 100), (250, 150)):
        assert tuple(drawn[row, column]) == class_color(1)
    assert tuple(drawn[200, 150]) == (90, 90, 90)


def test_the_label_stands_above_the_box_and_can_be_read() -> None:
    drawn = draw_detections(grey_image(), found(("polyp", 0.9, (100, 150, 200, 250))))
    label = drawn[138:149, 102:140].reshape(-1, 3)
    assert (label == class_color(1)).all(1).any()
    ink = np.abs(label.astype(int) - class_color(1)).max(1)
    assert ink.max() > 100
    assert (drawn[:120] == 90).all()


@pytest.mark.parametrize("box", [(0, 0, 8, 8), (390, 290, 400, 300), (0, 290, 400, 300)])
def test_a_label_stays_inside_the_image(box: tuple[float, float, float, float]) -> None:
    drawn = draw_detections(grey_image(), found(("lung nodule", 0.5, box)))
    assert drawn.shape == (300, 400, 3)
    assert (drawn == class_color(0)).all(2).sum() > 200


def test_an_image_smaller_than_its_label_is_drawn_all_the_same() -> None:
    drawn = draw_detections(grey_image(5, 9), found(("lung nodule", 0.5, (1, 1, 8, 4))))
    assert drawn.shape == (5, 9, 3)


def test_the_best_is_drawn_on_top() -> None:
    both = found(("polyp", 0.9, (50, 50, 90, 90)), ("lung nodule", 0.2, (50, 50, 90, 90)))
    drawn = draw_detections(grey_image(), both)
    assert tuple(drawn[90, 70]) == class_color(1)


def test_neighbouring_classes_have_different_colours() -> None:
    colors = np.array([class_color(index) for index in range(12)], dtype=int)
    distances = np.abs(colors[:, None] - colors[None]).sum(2) + 1000 * np.eye(len(colors), dtype=int)
    assert distances.min() > 40


def test_the_file_is_a_png_in_the_size_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.png"
    image = grey_image()
    image[:, :, 0] = 200  # red: a swap of channels would show
    write_overlay(path, image, found())
    assert [item.name for item in path.parent.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], image)
