"""Drawn rectangles, and an engine that finds them exactly: a stand-in for a network in tests of tiles."""

from __future__ import annotations

import numpy as np

from fake_engines import FakeEngine
from medrov_cli.core.records.detections import Candidates

CLASSES = 3


def color_of(number: int) -> tuple[int, int, int]:
    """Return the colour of a shape; mixtures of two colours are no colour of a shape."""
    return number, (number * 97 + 31) % 256, (number * number * 13 + 7) % 256


def draw(height: int, width: int, boxes: list[tuple[int, int, int, int]]) -> np.ndarray:
    """Return a white image, uint8, (height, width, 3), with a filled rectangle for each box."""
    image = np.full((height, width, 3), 255, np.uint8)
    for number, (left, top, right, bottom) in enumerate(boxes, 1):
        image[top:bottom, left:right] = color_of(number)
    return image


def exact_engine(imgsz: int, batches: list[int] | None = None) -> FakeEngine:
    """Return an engine that finds the visible part of each shape; its number gives score and class."""

    def find(images: np.ndarray, _floor: float) -> list[Candidates]:
        if batches is not None:
            batches.append(len(images))
        return [_find_shapes(image) for image in images]

    return FakeEngine(imgsz, find)


def _find_shapes(image: np.ndarray) -> Candidates:
    boxes, scores = [], []
    for number in np.unique(image[..., 0]).tolist():
        rows, columns = np.nonzero((image == color_of(number)).all(2))
        if len(rows) and number not in (0, 255):
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            scores.append(np.where(np.arange(CLASSES) == number % CLASSES, 0.7 + number / 1000, 0))
    return Candidates(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32).reshape(-1, CLASSES)
    )
