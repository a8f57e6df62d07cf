"""Training augmentation: placement of tiles on a canvas by one affine map for pixels and boxes.

A canvas is one image, or a mosaic of four around a random point (YOLOv4, arXiv 2004.10934).
Every tile is resized once, directly to its place, so that no larger intermediate canvas is drawn. The
complete tile is mapped as an additional box, which gives the region of the canvas of each source image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from medrov_cli.core.records.boxes import IntArray, flip_boxes
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.letterbox import PAD_VALUE
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.train_groups import AugmentationSettings
from medrov_cli.core.training.data.appearance import as_bytes

_TURNABLE = frozenset({Modality.HISTOPATHOLOGY, Modality.MICROSCOPY, Modality.DERMOSCOPY, Modality.ENDOSCOPY})
"""Modalities without a vertical direction: quarter turns and vertical flips are allowed."""

_UPSIDE_DOWN = _TURNABLE | {Modality.FUNDOSCOPY}


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTile:
    """Source image and its boxes.

    Attributes
    ----------
    image_rgb
        uint8, (h, w, 3).
    boxes_xyxy
        float32, (n, 4), in pixels of the image.
    labels
        int64, (n,).
    """

    image_rgb: UInt8Array
    boxes_xyxy: Float32Array
    labels: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Model input and its boxes.

    Attributes
    ----------
    image_rgb
        uint8, (height, width, 3).
    boxes_xyxy, labels
        float32, (n, 4), in pixels of the canvas; int64, (n,).
    regions_xyxy
        float32, (tiles, 4): visible region of each tile; without area if nothing is visible.
    """

    image_rgb: UInt8Array
    boxes_xyxy: Float32Array
    labels: IntArray
    regions_xyxy: Float32Array


def turn_and_flip(
    tile: TrainingTile,
    modality: Modality,
    mirror: IntArray,
    config: AugmentationSettings,
    rng: np.random.Generator,
    *,
    keep_shape: bool = False,
) -> TrainingTile:
    """Return the tile rotated and flipped at random, as its modality allows.

    A horizontal flip exchanges the patient's left and right: labels are mapped by ``mirror`` (see
    :func:`medrov_cli.core.datasets.laterality.mirror_rows`), and a tile with a class without a mirror class
    is not flipped. With ``keep_shape`` no tile is turned on its side.
    """
    image, boxes, labels = tile.image_rgb, tile.boxes_xyxy, tile.labels
    sided = mirror[labels]
    if rng.random() < config.flip and (sided >= 0).all():
        image, boxes, labels = as_bytes(cv2.flip(image, 1)), flip_boxes(boxes, image.shape[1]), sided
    if modality in _UPSIDE_DOWN and rng.random() < config.flip:
        image = as_bytes(cv2.flip(image, 0))
        boxes = flip_boxes(boxes[:, [1, 0, 3, 2]], image.shape[0])[:, [1, 0, 3, 2]]
    if modality in _TURNABLE and rng.random() < config.flip and not keep_shape:
        image, boxes = as_bytes(cv2.transpose(image)), boxes[:, [1, 0, 3, 2]]
    return TrainingTile(image, boxes, labels)


def place_single(
    tile: TrainingTile, canvas_hw: tuple[int, int], config: AugmentationSettings, rng: np.random.Generator
) -> Canvas:
    """Return the tile on a canvas of height and width ``canvas_hw``, with random scale and position."""
    height, width = tile.image_rgb.shape[:2]
    fit = min(canvas_hw[0] / height, canvas_hw[1] / width)
    zoom = fit * (1 + rng.uniform(-config.scale, config.scale) / 2)
    stretch = 1 + rng.uniform(-config.aspect, config.aspect)
    w, h = width * zoom * stretch, height * zoom / stretch
    centre = np.array(canvas_hw[::-1]) * (0.5 + rng.uniform(-config.translate, config.translate, 2))
    corner = centre - np.array([w, h]) / 2
    place = (corner[0], corner[1], corner[0] + w, corner[1] + h)
    return _compose([tile], [place], canvas_hw, config.visible)


def place_mosaic(
    tiles: Sequence[TrainingTile], size: int, config: AugmentationSettings, rng: np.random.Generator
) -> Canvas:
    """Return four tiles around a random point on a canvas of ``size``, with a random zoom."""
    zoom = 1 + rng.uniform(-config.scale, config.scale)
    joint = size * (
        0.5 + zoom * rng.uniform(-0.5, 0.5, 2) + rng.uniform(-config.translate, config.translate, 2)
    )
    places = []
    for position, tile in enumerate(tiles):
        height, width = tile.image_rgb.shape[:2]
        fit = size / max(height, width) * zoom
        stretch = 1 + rng.uniform(-config.aspect, config.aspect)
        w, h = width * fit * stretch, height * fit / stretch
        left = joint[0] - w if position % 2 == 0 else joint[0]
        top = joint[1] - h if position < 2 else joint[1]
        places.append((left, top, left + w, top + h))
    return _compose(tiles, places, (size, size), config.visible)


def _compose(
    tiles: Sequence[TrainingTile],
    places: Sequence[tuple[float, float, float, float]],
    canvas_hw: tuple[int, int],
    visible: float,
) -> Canvas:
    """Draw each tile at its place (corners in canvas pixels) and collect the visible boxes."""
    canvas = np.full((*canvas_hw, 3), PAD_VALUE, dtype=np.uint8)
    limits = np.tile(canvas_hw[::-1], 2)
    boxes = [np.zeros((0, 4), dtype=np.float32)]
    labels = [np.zeros(0, dtype=np.int64)]
    regions = []
    for tile, place in zip(tiles, places, strict=True):
        left, top, right, bottom = (round(edge) for edge in place)
        height, width = tile.image_rgb.shape[:2]
        scale = np.array([(right - left) / width, (bottom - top) / height])
        _draw(canvas, tile.image_rgb, (left, top, right, bottom), scale)
        ghost = np.array([[0, 0, width, height]], dtype=np.float32)
        moved = np.concatenate((tile.boxes_xyxy, ghost)) * np.tile(scale, 2) + [left, top, left, top]
        seen_region = np.clip([left, top, right, bottom], 0, limits)
        clipped = np.clip(moved, np.tile(seen_region[:2], 2), np.tile(seen_region[2:], 2))
        sides, full = clipped[:, 2:] - clipped[:, :2], moved[:, 2:] - moved[:, :2]
        keep = (sides.prod(1) >= visible * full.prod(1)) & (sides >= 2).all(1)
        boxes.append(clipped[:-1][keep[:-1]].astype(np.float32))
        labels.append(tile.labels[keep[:-1]])
        regions.append(clipped[-1])
    return Canvas(
        canvas, np.concatenate(boxes), np.concatenate(labels), np.asarray(regions, dtype=np.float32)
    )


def _draw(
    canvas: UInt8Array, image_rgb: UInt8Array, place: tuple[int, int, int, int], scale: Float32Array
) -> None:
    """Resize the visible part of an image into its place on the canvas."""
    rows, columns = canvas.shape[:2]
    left, top, right, bottom = place
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(right, columns), min(bottom, rows)
    if x2 <= x1 or y2 <= y1:
        return
    # An affine map keeps sub-pixel alignment where a plain crop and resize would shift the edges.
    matrix = np.array(
        [
            [1 / scale[0], 0, (x1 - left + 0.5) / scale[0] - 0.5],
            [0, 1 / scale[1], (y1 - top + 0.5) / scale[1] - 0.5],
        ]
    )
    source = image_rgb
    if scale.max() < 0.6:  # linear interpolation would alias
        shrunk = (max(1, right - left), max(1, bottom - top))
        source = as_bytes(cv2.resize(np.ascontiguousarray(image_rgb), shrunk, interpolation=cv2.INTER_AREA))
        matrix = np.array([[1.0, 0, x1 - left], [0, 1.0, y1 - top]])
    canvas[y1:y2, x1:x2] = cv2.warpAffine(
        np.ascontiguousarray(source),
        matrix,
        (x2 - x1, y2 - y1),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
