"""Examples as square model inputs, and batches of changed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from medrov_cli.core.datasets.laterality import mirror_rows
from medrov_cli.core.learning.examples import ExampleImage
from medrov_cli.core.records.boxes import BoolArray, FloatArray, IntArray, flip_boxes
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.letterbox import PAD_VALUE, Letterbox

SCALES = (0.7, 1.1)
"""Smallest and largest scale of a changed square."""

SHIFT = 0.1
"""Largest shift, as a part of the side."""

GAMMA = 0.3
"""Largest natural logarithm of the exponent of the grey levels."""

MIN_VISIBLE = 0.3
"""Part of a box that must stay inside a shifted square to count as an example."""


@dataclass(frozen=True, slots=True, eq=False)
class ExampleSquare:
    """One image as a model input, with boxes in model pixels.

    Attributes
    ----------
    image
        Row of the image.
    pixels_rgb
        uint8, (imgsz, imgsz, 3).
    boxes_xyxy, labels, is_annotated
        See :class:`medrov_cli.core.learning.examples.ExampleImage`.
    """

    image: int
    pixels_rgb: UInt8Array
    boxes_xyxy: FloatArray
    labels: IntArray
    is_annotated: BoolArray

    @classmethod
    def fit(cls, row: int, image: ExampleImage, pixels_rgb: UInt8Array, imgsz: int) -> ExampleSquare:
        """Return the square of an image; regions that are neither examples nor background are grey."""
        box = Letterbox.fit((pixels_rgb.shape[0], pixels_rgb.shape[1]), imgsz)
        boxes = box.to_model(image.boxes_xyxy)
        square = box.apply(pixels_rgb)
        if len(image.ignored_xyxy):
            shown = square
            square = _filled(square, box.to_model(image.ignored_xyxy), np.full_like(square, PAD_VALUE))
            square = _filled(square, boxes, shown)
        return cls(row, square, boxes, image.labels, image.is_annotated)


@dataclass(frozen=True, slots=True, eq=False)
class SquareBatch:
    """Changed squares.

    Attributes
    ----------
    images_rgb
        uint8, (batch, imgsz, imgsz, 3).
    rows, labels, boxes_xyxy
        int64 and float32: image, class and box of each example, in model pixels.
    is_annotated
        bool, (batch, classes).
    """

    images_rgb: UInt8Array
    rows: IntArray
    labels: IntArray
    boxes_xyxy: Float32Array
    is_annotated: BoolArray


class SquareSampler:
    """Batches of squares in a random order, each scaled, shifted, mirrored and brightened at random.

    Parameters
    ----------
    squares
        The squares.
    classes
        Names of the classes: a mirrored square exchanges left and right. A set with a side that has no
        counterpart is not mirrored.
    imgsz
        Side of the squares.
    rng
        Source of the changes.
    """

    def __init__(
        self,
        squares: Sequence[ExampleSquare],
        classes: tuple[str, ...],
        imgsz: int,
        rng: np.random.Generator,
    ) -> None:
        self._squares = squares
        mirrored = mirror_rows(classes)
        self._mirrored = mirrored if (mirrored >= 0).all() else None
        self._imgsz = imgsz
        self._rng = rng
        self._order: list[int] = []

    def draw(self, count: int) -> SquareBatch:
        """Return some squares, of which none is drawn again before all others were."""
        rows, labels, boxes = [], [], []
        images, annotated = [], []
        for row in range(count):
            if not self._order:
                self._order = self._rng.permutation(len(self._squares)).tolist()
            square = self._changed(self._squares[self._order.pop()])
            images.append(square.pixels_rgb)
            annotated.append(square.is_annotated)
            rows.append(np.full(len(square.labels), row))
            labels.append(square.labels)
            boxes.append(square.boxes_xyxy)
        return SquareBatch(
            np.stack(images),
            np.concatenate(rows),
            np.concatenate(labels),
            np.concatenate(boxes).astype(np.float32),
            np.stack(annotated),
        )

    def _changed(self, square: ExampleSquare) -> ExampleSquare:
        rng, side = self._rng, self._imgsz
        scale = float(rng.uniform(*SCALES))
        offset = (1 - scale) * side / 2 + rng.uniform(-SHIFT, SHIFT, 2) * side
        matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
        moved_rgb = cv2.warpAffine(
            square.pixels_rgb, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=(PAD_VALUE,) * 3
        )
        pixels = apply_gamma(moved_rgb, float(np.exp(rng.uniform(-GAMMA, GAMMA))))
        moved = square.boxes_xyxy * scale + np.tile(offset, 2)
        boxes = np.clip(moved, 0, side)
        labels, annotated = square.labels, square.is_annotated
        if self._mirrored is not None and rng.random() < 0.5:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
            boxes = flip_boxes(boxes, side)
            moved = flip_boxes(moved, side)
            labels, annotated = self._mirrored[labels], annotated[self._mirrored]
        kept = _area(boxes) >= MIN_VISIBLE * _area(moved)
        return ExampleSquare(square.image, pixels, boxes[kept], labels[kept], annotated)


def apply_gamma(pixels: cv2.typing.MatLike, exponent: float) -> UInt8Array:
    """Return pixels, uint8, whose grey levels are raised to a power."""
    table = np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table), dtype=np.uint8)


def _filled(square: UInt8Array, boxes_xyxy: FloatArray, content: UInt8Array) -> UInt8Array:
    """Return a square whose boxes have another content."""
    filled = square.copy()
    for left, top, right, bottom in np.concatenate(
        (np.floor(boxes_xyxy[:, :2]), np.ceil(boxes_xyxy[:, 2:])), axis=1
    ).astype(int):
        own = np.s_[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        filled[own] = content[own]
    return filled


def _area(boxes_xyxy: FloatArray) -> FloatArray:
    return np.asarray(np.prod(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1e-9), 1))
