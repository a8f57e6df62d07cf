"""X-ray phantom: a frontal chest radiograph with lungs, heart, diaphragm, spine, ribs and clavicles."""

from __future__ import annotations

import cv2
import numpy as np

from medrov_cli.core.phantoms.picture import Picture, expose
from medrov_cli.core.phantoms.shapes import (
    Blob,
    BoolArray,
    Field,
    Phantom,
    blur,
    burn_mark,
    coverage,
    generator,
    line,
    random_harmonics,
    smooth_noise,
)
from medrov_cli.core.settings.choices import Modality

_TRUNK, _LUNG, _HEART, _SPINE, _BELLY = 1.05, -0.66, 0.12, 0.26, 0.2
"""Absorption of the parts along a ray, in arbitrary units."""


def chest_xray(seed: int, *, size: int = 480) -> Phantom:
    """Draw one chest radiograph.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same radiograph.
    size
        Rows and columns.

    Returns
    -------
    Phantom
        uint8 RGB of equal channels; the patient's left is on the image's right. Objects: right lung, left
        lung (the parts that are not behind heart or diaphragm), heart.
    """
    rng = generator("chest_xray", seed)
    picture = Picture(rng, np.zeros((size, size)))
    middle = size * rng.uniform(0.485, 0.515)
    _draw_trunk(picture, middle)
    heart = _heart(rng, middle, size)
    lungs = _lungs(rng, middle, size)
    heart_mask = heart.mask(picture.size_hw)
    below = _draw_diaphragm(picture, middle)
    masks = []
    for lung in lungs:
        mask = lung.mask(picture.size_hw) & ~heart_mask & ~below
        opacity = blur(mask.astype(np.float64), size / 220)
        picture.image += _LUNG * rng.uniform(0.92, 1.05) * opacity
        masks.append(mask)
    _add_depth(picture, heart, _HEART, size / 50)
    _draw_markings(picture, masks, middle)
    _draw_bones(picture, middle)
    pose = _pose(rng, size)
    moved = cv2.warpAffine(picture.image, pose, (size, size), borderMode=cv2.BORDER_REPLICATE)
    picture.image = np.asarray(moved, np.float64)
    for name, mask in (
        ("right lung", masks[0]),
        ("left lung", masks[1]),
        ("heart", heart_mask & ~below),
    ):
        grey = cv2.warpAffine(mask.astype(np.uint8), pose, (size, size), flags=cv2.INTER_NEAREST)
        picture.add(name, grey > 0)
    pixels = _develop(picture)
    burn_mark(pixels, 220)
    return Phantom(pixels, tuple(picture.objects), Modality.XRAY)


def _pose(rng: np.random.Generator, size: int) -> Field:
    """Return the affine map from the drawing to the film: size, distance, tilt and position."""
    width, height = rng.uniform(0.84, 1.04), rng.uniform(0.84, 1.04)
    lean = rng.uniform(-0.09, 0.09)
    cos, sin = np.cos(lean), np.sin(lean)
    linear = np.array([[cos * width, -sin * height], [sin * width, cos * height]])
    middle = np.array([0.5, 0.45]) * size
    place = middle + rng.uniform(-0.05, 0.05, 2) * size - linear @ middle
    return np.asarray(np.column_stack([linear, place]), np.float64)


def _add_depth(picture: Picture, blob: Blob, amount: float, softness_px: float) -> None:
    """Add the absorption of a body that is thick in its middle and thin at its rim."""
    window, depth = blob.patch(picture.size_hw, softness_px)
    thick = 0.72 + 0.28 * np.sqrt(np.clip(depth / min(blob.radii_xy), 0, 1))
    picture.image[window] += amount * thick * coverage(depth, softness_px)


def _draw_trunk(picture: Picture, middle: float) -> None:
    """Draw the soft tissues of chest, neck, shoulders and arms."""
    rng, size = picture.rng, picture.size_hw[0]
    wide = rng.uniform(0.42, 0.49)
    trunk = Blob((middle, 0.72 * size), (wide * size, 0.62 * size), exponent=3.2)
    _add_depth(picture, trunk, _TRUNK, size / 25)
    _add_depth(picture, Blob((middle, 0.0), (0.1 * size, 0.2 * size)), 0.6, size / 20)
    for side in (-1, 1):
        center = (middle + side * 0.38 * size, 0.24 * size)
        shoulder = Blob(center, (0.24 * size, 0.12 * size), side * 0.55)
        _add_depth(picture, shoulder, 0.5, size / 10)
        arm = Blob((middle + side * 0.52 * size, 0.55 * size), (0.07 * size, 0.4 * size))
        _add_depth(picture, arm, 0.5, size / 20)
    chest = Blob((middle, 0.38 * size), (0.075 * size, 0.28 * size), exponent=3)
    _add_depth(picture, chest, 0.14, size / 18)  # the great vessels and the airway between the lungs
    windpipe = Blob((middle, 0.2 * size), (0.016 * size, 0.2 * size), exponent=4)
    _add_depth(picture, windpipe, -0.16, size / 60)


def _heart(rng: np.random.Generator, middle: float, size: int) -> Blob:
    """Return the outline of the heart, two thirds of which are on the patient's left."""
    long = size * rng.uniform(0.14, 0.2)
    center = (middle + size * rng.uniform(0.045, 0.06), size * rng.uniform(0.63, 0.66))
    radii = (long, size * rng.uniform(0.105, 0.125))
    return Blob(center, radii, rng.uniform(0.5, 0.8), random_harmonics(rng, 0.06))


def _lungs(rng: np.random.Generator, middle: float, size: int) -> tuple[Blob, Blob]:
    """Return the outlines of the patient's right and left lung, before heart and diaphragm cover them."""
    top, made = rng.uniform(0.12, 0.18), []
    for side in (-1, 1):
        wide = size * rng.uniform(0.125, 0.16)
        center = (middle + side * (wide + size * rng.uniform(0.05, 0.065)), size * (top + 0.36))
        outline = random_harmonics(rng, 0.03, (2, 3))
        made.append(Blob(center, (wide, 0.36 * size), side * -rng.uniform(0.06, 0.12), outline, 2.5))
    return made[0], made[1]


def _draw_diaphragm(picture: Picture, middle: float) -> BoolArray:
    """Draw the two domes with the parts below them, and return their pixels; the right one is higher."""
    rng, size = picture.rng, picture.size_hw[0]
    below = np.zeros(picture.size_hw, dtype=np.bool_)
    height = size * rng.uniform(0.71, 0.79)
    for side, lower in ((-1, 0.0), (1, size * rng.uniform(0.01, 0.03))):
        center = (middle + side * 0.2 * size, height + lower + 0.27 * size)
        dome = Blob(center, (0.245 * size, 0.27 * size), exponent=2.3)
        below |= dome.mask(picture.size_hw)
    rows = np.arange(size)[:, None]
    below |= rows > height + 0.24 * size
    picture.image += _BELLY * blur(below.astype(np.float64), size / 200)
    gas = Blob((middle + 0.2 * size, height + 0.1 * size), (0.05 * size, 0.03 * size), 0.2)
    _add_depth(picture, gas, -0.35 * rng.uniform(0, 1), size / 50)
    return below


def _draw_markings(picture: Picture, lungs: list[BoolArray], middle: float) -> None:
    """Draw the vessels that leave the hila and thin out towards the pleura."""
    rng, size = picture.rng, picture.size_hw[0]
    for side, lung in zip((-1, 1), lungs, strict=True):
        canvas = np.zeros(picture.size_hw, dtype=np.uint8)
        hilum = (middle + side * size * 0.085, size * rng.uniform(0.46, 0.5))
        for _ in range(int(rng.integers(16, 26))):
            spread = rng.uniform(-1.45, 1.45)
            heading = spread if side > 0 else np.pi - spread
            _grow(rng, canvas, hilum, heading, size * rng.uniform(0.006, 0.015))
        within = blur(lung.astype(np.float64), 2.0)
        picture.image += 0.3 * blur(canvas / 255.0, size / 300) * within
        _add_depth(picture, Blob(hilum, (0.035 * size, 0.06 * size), side * 0.3), 0.22, size / 25)
    picture.image *= 1 + 0.015 * smooth_noise(rng, picture.size_hw, size / 60)


def _grow(
    rng: np.random.Generator, canvas: np.ndarray, start: tuple[float, float], heading: float, width_px: float
) -> None:
    """Draw one vessel as a bending, thinning line, with its branches."""
    (x, y), step = start, canvas.shape[0] / 55
    while width_px > 0.7:
        heading += rng.normal(0, 0.12)
        end = (float(x + step * np.cos(heading)), float(y + step * np.sin(heading)))
        line(canvas, (x, y), end, width_px, 60 + 20 * width_px)
        (x, y), width_px = end, width_px * rng.uniform(0.82, 0.95)
        if rng.random() < 0.3:
            _grow(rng, canvas, (x, y), heading + rng.choice([-1, 1]) * rng.uniform(0.3, 0.7), width_px * 0.7)


def _draw_bones(picture: Picture, middle: float) -> None:
    """Draw spine, ribs and clavicles over all other parts, with their absorption."""
    rng, size = picture.rng, picture.size_hw[0]
    spine = Blob((middle, 0.5 * size), (0.042 * size, 0.62 * size), exponent=5)
    _add_depth(picture, spine, _SPINE, size / 60)
    for level in np.arange(rng.uniform(0, 0.05), 1, 0.062):
        disc = Blob((middle, level * size), (0.04 * size, 0.006 * size))
        _add_depth(picture, disc, -0.07, size / 120)
    bones = np.zeros(picture.size_hw, dtype=np.float64)
    for side in (-1, 1):
        for rib in range(9):
            top = size * (0.13 + 0.072 * rib)
            reach = size * (0.2 + 0.165 * np.sin(min(1.0, (rib + 1.5) / 6) * np.pi / 2))
            bones += _rib(picture.size_hw, middle, side, top, reach, size * rng.uniform(0.018, 0.023))
        bones += _clavicle(rng, picture.size_hw, middle, side)
    picture.image += rng.uniform(0.08, 0.14) * bones


def _rib(
    size_hw: tuple[int, int], middle: float, side: int, top: float, reach: float, width_px: float
) -> Field:
    """Return the opacity of one rib: posterior, lateral, and faint anterior part."""
    canvases = []
    for far, start, drop in ((0.9, -0.5 * np.pi, 0.3), (0.55, 0.0, 0.5)):
        turns = np.linspace(start, start + 0.5 * np.pi, 24)
        xs = middle + side * (0.04 * size_hw[1] + reach * np.clip(np.cos(turns), 0, 1) ** 0.8)
        ys = top + reach * drop * (np.sin(turns) + 1)
        canvas = np.zeros(size_hw, dtype=np.uint8)
        points = np.rint(np.stack([xs, ys], axis=1) * 16).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, max(1, round(width_px)), cv2.LINE_AA, 4)
        edge = blur(canvas / 255.0, 1.0) - 0.45 * blur(canvas / 255.0, width_px / 3.5)
        canvases.append(np.clip(edge * far * 1.6, 0, 1))
    result: Field = canvases[0] + canvases[1]
    return result


def _clavicle(rng: np.random.Generator, size_hw: tuple[int, int], middle: float, side: int) -> Field:
    """Return the opacity of a collar bone."""
    size = size_hw[0]
    canvas = np.zeros(size_hw, dtype=np.uint8)
    start = (middle + side * 0.045 * size, size * rng.uniform(0.2, 0.22))
    bend = (middle + side * 0.2 * size, start[1] - size * rng.uniform(0.01, 0.03))
    end = (middle + side * 0.36 * size, start[1] - size * rng.uniform(0.05, 0.08))
    for first, second in ((start, bend), (bend, end)):
        line(canvas, first, second, size * 0.026, 255)
    return np.asarray(1.3 * blur(canvas / 255.0, size / 250), np.float64)


def _develop(picture: Picture) -> np.ndarray:
    """Return the image as film: absorption is bright, the air around the patient black."""
    rng = picture.rng
    grey = 255 * (1 - np.exp(-np.clip(picture.image, 0, None) * rng.uniform(0.95, 1.2)))
    grey = (grey - 35) * rng.uniform(1.05, 1.25)
    return expose(rng, np.clip(grey, 2, 245), 0.8, rng.uniform(2, 5), 0.6)
