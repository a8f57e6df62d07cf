"""Random views of an image for the fit of image kinds: crops, flips, scales, grey values, compression."""

from __future__ import annotations

import cv2
import numpy as np

from medrov_cli.core.records.frame import UInt8Array

_LEAST_SIDE = 8

_COLOURFUL = 2.0  # mean difference of red and blue: below it an image counts as grey


def random_view(image_rgb: UInt8Array, random: np.random.Generator) -> UInt8Array:
    """Return a view of an image, uint8, (height, width, 3), as another device or export could show it."""
    placed = _place(image_rgb, random)
    shaded = _shade(placed, random)
    if random.random() < 0.3:
        shaded = np.asarray(cv2.GaussianBlur(shaded, (0, 0), random.uniform(0.4, 1.8)), dtype=np.uint8)
    if random.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 96))]
        shaded = np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", shaded, quality)[1], cv2.IMREAD_COLOR), dtype=np.uint8
        )
    return np.ascontiguousarray(shaded)


def _place(image_rgb: UInt8Array, random: np.random.Generator) -> UInt8Array:
    """Return an image after a crop, flips, a turn, a change of size and aspect, and a border."""
    view = image_rgb
    if random.random() < 0.6:
        sides = [max(_LEAST_SIDE, int(side * random.uniform(0.6, 1))) for side in view.shape[:2]]
        top, left = (
            int(random.integers(0, max(full - side, 0) + 1))
            for full, side in zip(view.shape[:2], sides, strict=True)
        )
        view = view[top : top + sides[0], left : left + sides[1]]
    if random.random() < 0.5:
        view = view[:, ::-1]
    if random.random() < 0.25:
        view = view[::-1]
    if random.random() < 0.2:
        view = np.rot90(view)
    view = np.ascontiguousarray(view)
    height, width = view.shape[:2]
    if random.random() < 0.3:
        width = max(_LEAST_SIDE, int(width * np.exp(random.uniform(-0.22, 0.22))))
        view = np.asarray(cv2.resize(view, (width, height)), dtype=np.uint8)
    if random.random() < 0.4:
        scale = random.uniform(0.3, 1)
        size = max(_LEAST_SIDE, int(width * scale)), max(_LEAST_SIDE, int(height * scale))
        view = np.asarray(cv2.resize(view, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if random.random() < 0.2:
        above, below = (int(random.uniform(0.02, 0.25) * view.shape[0]) for _ in range(2))
        before, after = (int(random.uniform(0.02, 0.25) * view.shape[1]) for _ in range(2))
        grey = 255 if random.random() < 0.25 else 0
        view = np.pad(view, ((above, below), (before, after), (0, 0)), constant_values=grey)
    return view


def _shade(image_rgb: UInt8Array, random: np.random.Generator) -> UInt8Array:
    """Return an image after a change of gamma, contrast, brightness, colour and noise."""
    values = image_rgb.astype(np.float32) / 255
    if random.random() < 0.7:
        values = values ** random.uniform(0.65, 1.5)
        values = (values - 0.5) * random.uniform(0.7, 1.35) + 0.5 + random.uniform(-0.1, 0.1)
    is_coloured = np.abs(image_rgb[..., 0].astype(np.int16) - image_rgb[..., 2]).mean() > _COLOURFUL
    if random.random() < 0.4 and is_coloured:
        values = values * random.uniform(0.85, 1.15, 3)
        grey = values.mean(2, keepdims=True)
        values = grey + (values - grey) * random.uniform(0.5, 1.4)
    if random.random() < 0.2:
        values = values + random.normal(0, random.uniform(0, 0.04), (*values.shape[:2], 1))
    return np.asarray((np.clip(values, 0, 1) * 255).round(), dtype=np.uint8)
