"""Dermoscopy phantom: skin with pores and hairs, and one pigmented lesion."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.phantoms.picture import Picture, expose
from medrov_cli.core.phantoms.shapes import (
    Blob,
    Field,
    Phantom,
    blend,
    blur,
    burn_mark,
    coverage,
    generator,
    line,
    random_harmonics,
    smooth_noise,
)
from medrov_cli.core.settings.choices import Modality

_BENIGN, _MALIGNANT = "benign skin lesion", "melanoma skin cancer"
_BLUE_GREY, _RED, _BLACK = (95.0, 100.0, 118.0), (165.0, 85.0, 80.0), (45.0, 30.0, 28.0)


def skin_lesion(seed: int, *, size: int = 420) -> Phantom:
    """Draw one dermoscopic image with one lesion.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same image.
    size
        Rows and columns.

    Returns
    -------
    Phantom
        uint8 RGB (size, size, 3). Objects: benign skin lesion (round, of one brown), or melanoma skin
        cancer (irregular, asymmetric, of several colours). Real lesions differ less clearly.
    """
    rng = generator("skin_lesion", seed)
    tone = np.array([rng.uniform(190, 228), rng.uniform(145, 180), rng.uniform(125, 165)])
    picture = Picture(rng, np.broadcast_to(tone, (size, size, 3)).copy())
    _draw_skin(picture)
    is_malignant = rng.random() < 0.4
    radius = size * np.exp(rng.uniform(np.log(0.11), np.log(0.3)))
    margin = max(0.0, 0.44 * size - radius)
    center = tuple(size / 2 + rng.uniform(-0.6, 0.6) * margin for _ in range(2))
    flat = rng.uniform(0.6, 0.85) if is_malignant else rng.uniform(0.78, 1.0)
    orders = (2, 3, 4, 5, 6, 7) if is_malignant else (2, 3)
    outline = random_harmonics(rng, 0.3 if is_malignant else 0.07, orders)
    lesion = Blob((center[0], center[1]), (radius, radius * flat), rng.uniform(0, np.pi), outline)
    _draw_lesion(picture, lesion, tone, is_malignant)
    _draw_hairs(picture)
    y, x = (np.mgrid[:size, :size] + 0.5 - size / 2) / size
    away = np.hypot(x, y)
    picture.image *= (1 - rng.uniform(0.2, 0.6) * away**2)[..., None]
    if rng.random() < 0.3:  # the rim of the lens
        picture.image *= coverage((0.56 - away) * size, 12)[..., None]
    picture.add(_MALIGNANT if is_malignant else _BENIGN, lesion.mask((size, size)))
    pixels = expose(rng, picture.image, rng.uniform(0.6, 1.1), rng.uniform(1, 2.5))
    burn_mark(pixels, 105)  # visible on skin and on the black rim
    return Phantom(pixels, tuple(picture.objects), Modality.DERMOSCOPY)


def _draw_skin(picture: Picture) -> None:
    """Draw blotches, fine furrows and pores."""
    rng, size = picture.rng, picture.size_hw[0]
    blotches = smooth_noise(rng, picture.size_hw, size / 5)[..., None]
    picture.image *= 1 + blotches * np.array([0.008, 0.025, 0.025])
    cells = smooth_noise(rng, picture.size_hw, size / 45)
    furrows = np.exp(-((cells / 0.16) ** 2))
    picture.image *= 1 - 0.035 * blur(furrows, 0.8)[..., None]
    picture.image *= 1 + 0.012 * smooth_noise(rng, picture.size_hw, 3)[..., None]


def _draw_lesion(picture: Picture, lesion: Blob, tone: Field, is_malignant: bool) -> None:
    """Draw the pigment: a brown body with a network at its rim, and the colours of a malignant one."""
    rng, size = picture.rng, picture.size_hw[0]
    radius = min(lesion.radii_xy)
    y, x = np.mgrid[:size, :size] + 0.5
    depth = lesion.depth(x, y)
    inside = coverage(depth, radius * (0.08 if is_malignant else rng.uniform(0.1, 0.2)))
    brown = tone * np.array([rng.uniform(0.5, 0.68), rng.uniform(0.38, 0.55), rng.uniform(0.32, 0.5)])
    mottle = smooth_noise(rng, picture.size_hw, radius / (3 if is_malignant else 4))
    body = brown * (1 + (0.16 if is_malignant else 0.07) * mottle)[..., None]
    blend(picture.image, body, 0.95 * inside)
    cells = smooth_noise(rng, picture.size_hw, max(4.0, size / 60))
    network = np.exp(-((cells / 0.35) ** 2)) * np.exp(-((np.clip(depth, 0, None) / (0.6 * radius)) ** 2))
    blend(picture.image, brown * 0.62, rng.uniform(0.35, 0.7) * network * inside)
    if is_malignant:
        for colour in (_BLUE_GREY, _BLACK, _RED, _BLACK):
            cloud = 0.8 * smooth_noise(rng, picture.size_hw, radius / 1.8)
            patch = np.clip(cloud - rng.uniform(0.1, 0.5), 0, 1)
            blend(picture.image, colour, 0.85 * patch * inside)
    elif rng.random() < 0.5:  # small globules
        spots = np.clip(smooth_noise(rng, picture.size_hw, size / 40) * 3 - 4.5, 0, 1)
        blend(picture.image, brown * 0.6, 0.7 * spots * inside)


def _draw_hairs(picture: Picture) -> None:
    """Draw a few dark, slightly bent hairs over the image, and bubbles of the gel."""
    rng, size = picture.rng, picture.size_hw[0]
    canvas = np.zeros(picture.size_hw, dtype=np.uint8)
    for _ in range(int(rng.choice([0, 0, 3, 6, 12]))):
        x, y = rng.uniform(0, size, 2)
        heading, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.03)
        for _ in range(int(rng.integers(10, 30))):
            end = (float(x + size / 50 * np.cos(heading)), float(y + size / 50 * np.sin(heading)))
            line(canvas, (float(x), float(y)), end, size / 280, 230)
            (x, y), heading = end, heading + bend
    blend(picture.image, (50, 38, 34), 0.85 * blur(canvas / 255.0, 0.6))
    for _ in range(int(rng.choice([0, 0, 1, 3]))):
        at = rng.uniform(0, size, 2)
        ring = Blob((float(at[0]), float(at[1])), (size * 0.012, size * 0.012))
        picture.paint(ring, (245.0, 240.0, 235.0), 1.5, 0.5)
