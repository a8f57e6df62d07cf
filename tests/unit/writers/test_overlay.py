"""Overlays: boxes and labels in source pixels, on a copy."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.base.class_colors import PALETTE, class_color
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.writers.overlay import draw_detections, write_overlay

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
        assert tuple(drawn[row, column]) == class_color("polyp")
    assert tuple(drawn[200, 150]) == (90, 90, 90)


def test_the_label_stands_above_the_box_and_can_be_read() -> None:
    drawn = draw_detections(grey_image(), found(("polyp", 0.9, (100, 150, 200, 250))))
    label = drawn[138:149, 102:140].reshape(-1, 3)
    assert (label == class_color("polyp")).all(1).any()
    ink = np.abs(label.astype(int) - class_color("polyp")).max(1)
    assert ink.max() > 100
    assert (drawn[:120] == 90).all()


@pytest.mark.parametrize("box", [(0, 0, 8, 8), (390, 290, 400, 300), (0, 290, 400, 300)])
def test_a_label_stays_inside_the_image(box: tuple[float, float, float, float]) -> None:
    drawn = draw_detections(grey_image(), found(("lung nodule", 0.5, box)))
    assert drawn.shape == (300, 400, 3)
    assert (drawn == class_color("lung nodule")).all(2).sum() > 200


def test_an_image_smaller_than_its_label_has_a_legend_beside_it() -> None:
    drawn = draw_detections(grey_image(5, 9), found(("lung nodule", 0.5, (1, 1, 8, 4))))
    assert drawn.shape[0] > 5
    assert drawn.shape[1] > 100
    assert (drawn[:30, 9:40] == class_color("lung nodule")).all(2).any()


def test_the_best_is_drawn_on_top() -> None:
    both = found(("polyp", 0.9, (50, 50, 90, 90)), ("lung nodule", 0.2, (50, 50, 90, 90)))
    drawn = draw_detections(grey_image(), both)
    assert tuple(drawn[70, 90]) == class_color("polyp")


def test_labels_of_equal_boxes_do_not_cover_each_other() -> None:
    rows = [("polyp", 0.9, (100, 150, 160, 210)), ("lung nodule", 0.8, (100, 150, 160, 210))]
    both = draw_detections(grey_image(), found(*rows))
    first = draw_detections(grey_image(), found(rows[0]))
    np.testing.assert_array_equal(both[130:149], first[130:149])  # the label above the box
    # The other box is hidden by the first one; its label is not.
    assert (both == class_color("lung nodule")).all(2).sum() > 400


def test_a_crowded_image_has_numbers_and_a_legend() -> None:
    boxes = [("polyp", 0.9, (10 * k, 20 * (k % 10), 10 * k + 8, 20 * (k % 10) + 15)) for k in range(36)]
    drawn = draw_detections(grey_image(), found(*boxes))
    assert drawn.shape[0] >= 300
    assert drawn.shape[1] > 450
    assert (drawn[:, 400:] == class_color("polyp")).all(2).sum() > 36 * 30
    few = draw_detections(grey_image(), found(*boxes[:5]))
    assert few.shape == (300, 400, 3)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_line_differs_from_any_background(grey: int) -> None:
    image = np.full((300, 400, 3), grey, dtype=np.uint8)
    drawn = draw_detections(image, found(("polyp", 0.9, (100, 150, 200, 250))))
    profile = drawn[200, 95:106].astype(int).mean(1)
    assert abs(profile - grey).max() > 50  # the line, or its dark outline


def test_lines_are_wider_on_larger_images() -> None:
    wide = draw_detections(grey_image(2000, 2000), found(("polyp", 0.9, (500, 500, 900, 900))))
    assert (wide[700, 480:520] == class_color("polyp")).all(1).sum() in range(5, 8)


def test_the_colour_depends_on_the_name_alone_and_readers_of_all_kinds_see_it() -> None:
    assert class_color("polyp") == class_color("polyp")
    assert len({class_color(f"class {number}") for number in range(200)}) == len(PALETTE) == 14
    # Colours of one lightness have different hues; for red-green blindness, luma and blue remain.
    seen = np.array([(0.299 * r + 0.587 * g + 0.114 * b, b) for r, g, b in PALETTE])
    distances = np.abs(seen[:, None] - seen[None]).sum(2) + 1000 * np.eye(len(seen))
    assert distances.min() > 12


def test_the_file_is_a_png_in_the_size_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.png"
    image = grey_image()
    image[:, :, 0] = 200  # red: a swap of channels would show
    write_overlay(path, image, found())
    assert [item.name for item in path.parent.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], image)
