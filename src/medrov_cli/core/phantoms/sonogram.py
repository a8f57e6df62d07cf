"""Ultrasound phantom of the thyroid: layers of the neck, the gland with a nodule, speckle and shadows."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.phantoms.picture import Picture, expose
from medrov_cli.core.phantoms.shapes import (
    Blob,
    Field,
    Phantom,
    blur,
    burn_mark,
    coverage,
    generator,
    random_harmonics,
    smooth_noise,
)
from medrov_cli.core.settings.choices import Modality

_CLASS = "thyroid nodule"


def thyroid_ultrasound(seed: int, *, size_hw: tuple[int, int] = (360, 480)) -> Phantom:
    """Draw one B-mode image with one or two thyroid nodules; one image of ten has none.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same image.
    size_hw
        Rows and columns; depth runs down.

    Returns
    -------
    Phantom
        uint8 RGB of equal channels. Objects: thyroid nodule (solid, mixed or cystic).
    """
    rng = generator("thyroid_ultrasound", seed)
    height, width = size_hw
    picture = Picture(rng, np.full(size_hw, 0.3))
    shade = np.ones(size_hw)
    _draw_layers(picture)
    gland = Blob(
        (width * rng.uniform(0.42, 0.58), height * rng.uniform(0.46, 0.54)),
        (width * rng.uniform(0.33, 0.4), height * rng.uniform(0.22, 0.28)),
        rng.uniform(-0.1, 0.1),
        random_harmonics(rng, 0.06),
        2.3,
    )
    picture.paint(gland, 0.95, 5)  # a bright capsule
    picture.paint(_shrunk(gland, 3), 0.72 + 0.05 * smooth_noise(rng, size_hw, 14), 5)
    _draw_artery(picture, shade, gland)
    for _ in range(int(rng.choice([0, 1, 1, 1, 1, 1, 1, 1, 2, 2]))):
        _draw_nodule(picture, shade, gland)
    pixels = _scan(picture, shade)
    burn_mark(pixels, 210)
    return Phantom(pixels, tuple(picture.objects), Modality.ULTRASOUND)


def _shrunk(blob: Blob, by_px: float) -> Blob:
    radii = (max(1.0, blob.radii_xy[0] - by_px), max(1.0, blob.radii_xy[1] - by_px))
    return Blob(blob.center_xy, radii, blob.angle, blob.harmonics, blob.exponent)


def _draw_layers(picture: Picture) -> None:
    """Draw skin, fat and muscles as wavy bands, with bright fasciae between them."""
    rng, (height, width) = picture.rng, picture.size_hw
    rows = np.arange(height)[:, None] / height
    wave = 0.012 * smooth_noise(rng, (1, width), width / 3)[:1]
    edges = np.cumsum([0.03, 0.04, rng.uniform(0.05, 0.08), rng.uniform(0.07, 0.11)])
    for top, bottom, echo in zip(edges[:-1], edges[1:], (0.95, 0.6, 0.38), strict=True):
        inside = coverage((rows - top - wave) * height, 3) * coverage((bottom + wave - rows) * height, 3)
        fibres = 1 + 0.25 * smooth_noise(rng, (height, 2), height / 90)[:, :1]
        picture.image += (echo * fibres - picture.image) * inside
        fascia = np.exp(-(((rows - bottom - wave) * height / 1.8) ** 2))
        picture.image += (0.95 - picture.image) * 0.8 * fascia
    deep = coverage((rows - rng.uniform(0.78, 0.84) - wave) * height, 8)
    fibres = np.exp(0.35 * smooth_noise(rng, (height, width // 6), height / 45))
    fibres = np.repeat(fibres, 7, axis=1)[:, :width]  # muscle: streaks along the skin
    picture.image += (0.34 * fibres - picture.image) * deep


def _draw_artery(picture: Picture, shade: Field, gland: Blob) -> None:
    """Draw the carotid beside the gland: round, black, with a bright wall."""
    rng, (height, _) = picture.rng, picture.size_hw
    side = rng.choice([-1, 1])
    radius = height * rng.uniform(0.06, 0.09)
    center = (
        gland.center_xy[0] + side * (gland.radii_xy[0] + radius * 0.9),
        gland.center_xy[1] + height * rng.uniform(0, 0.06),
    )
    artery = Blob(center, (radius, radius * rng.uniform(0.85, 1)), 0, random_harmonics(rng, 0.03))
    picture.paint(artery, 0.85, 3)
    picture.paint(_shrunk(artery, 3), 0.04, 3)
    _cast(shade, artery, 1.25)


def _cast(shade: Field, blob: Blob, factor: float) -> None:
    """Brighten or darken the region below a body, by its attenuation of sound."""
    height, width = shade.shape
    x = np.arange(width) + 0.5
    across = np.clip(1 - ((x - blob.center_xy[0]) / (0.85 * blob.radii_xy[0])) ** 2, 0, 1) ** 0.5
    rows = np.arange(height, dtype=np.float64)[:, None] + 0.5
    below = coverage(rows - blob.center_xy[1] - 0.6 * blob.radii_xy[1], blob.radii_xy[1])
    shade *= 1 + (factor - 1) * below * across[None, :]


def _draw_nodule(picture: Picture, shade: Field, gland: Blob) -> None:
    """Draw a nodule inside the gland, dark or nearly isoechoic, some with fluid, some with calcification."""
    rng, (height, _) = picture.rng, picture.size_hw
    inner = _shrunk(gland, 5).mask(picture.size_hw)
    taken = np.zeros(picture.size_hw, dtype=np.bool_)
    for drawn in picture.objects:
        taken |= drawn.mask
    for _ in range(60):
        radius = height * np.exp(rng.uniform(np.log(0.05), np.log(0.17)))
        center = tuple(gland.center_xy[i] + rng.uniform(-1, 1) * gland.radii_xy[i] for i in (0, 1))
        flat = rng.uniform(0.65, 0.95)
        outline = random_harmonics(rng, 0.12)
        nodule = Blob((center[0], center[1]), (radius, radius * flat), rng.uniform(-0.3, 0.3), outline)
        mask = nodule.mask(picture.size_hw)
        if not (mask & (~inner | taken)).any():
            break
    else:
        return
    is_cyst = rng.random() < 0.25
    echo = 0.06 if is_cyst else rng.uniform(0.15, 0.36)
    texture = 1 + 0.16 * smooth_noise(rng, picture.size_hw, max(3.0, radius / 4))
    picture.paint(nodule, 0.14, 3)  # the halo: compressed tissue around the nodule
    picture.paint(_shrunk(nodule, radius * 0.09), echo * texture, 3)
    if not is_cyst and rng.random() < 0.35:
        hole = Blob((center[0] + 0.2 * radius, center[1]), (radius * 0.4, radius * 0.28), 0.3)
        picture.paint(hole, 0.05, 3)
    for _ in range(int(rng.choice([0, 0, 0, 3, 6])) if not is_cyst else 0):
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6) * radius
        spot = (center[0] + away * np.cos(turn), center[1] + flat * away * np.sin(turn))
        picture.paint(Blob(spot, (2.0, 1.3)), 1.0, 1.5)
    _cast(shade, nodule, 1.5 if is_cyst else rng.uniform(0.75, 1.1))
    picture.add(_CLASS, mask)


def _scan(picture: Picture, shade: Field) -> np.ndarray:
    """Return the displayed image: speckle, attenuation with depth, compression to 8 bits."""
    rng, (height, width) = picture.rng, picture.size_hw
    waves = []
    for _ in range(2):
        noise = blur(rng.standard_normal((height, width)), 0.9)
        waves.append(blur(np.repeat(noise[:, ::2], 2, axis=1)[:, :width], 0.8))
    speckle = np.hypot(*waves) ** 0.7  # several speckle patterns are averaged
    speckle /= speckle.mean()
    depth = np.arange(height)[:, None] / height
    gain = np.exp(-rng.uniform(0.2, 0.9) * depth)
    gain = gain * (1 + 0.08 * smooth_noise(rng, (height, width), height / 2))
    echo = np.clip(blur(picture.image, 1.2), 0.01, None) * shade * gain * speckle
    echo[: max(12, height // 24)] = 0  # the gel, with space for the mark
    grey = 235 * np.log1p(rng.uniform(4, 7) * echo) / np.log(9)
    return expose(rng, np.clip(grey, 0, 250), 0.5, 2.0)
