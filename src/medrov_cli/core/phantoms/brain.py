"""MRI phantom: a contrast-enhanced T1 slice of the brain, with or without a tumour."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.phantoms.picture import Picture, expose
from medrov_cli.core.phantoms.shapes import (
    Blob,
    BoolArray,
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

_FLUID, _GREY, _WHITE, _FAT, _SKULL = 28.0, 92.0, 124.0, 205.0, 10.0
"""Mean grey values of tissues in T1: fluid dark, white matter brighter than grey, fat bright."""

Point = tuple[float, float]


def brain_mri(seed: int, *, size: int = 320) -> Phantom:
    """Draw one axial slice of the head with a brain tumour; one slice of eight has none.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same slice.
    size
        Rows and columns; the field of view is about 240 mm for all sizes.

    Returns
    -------
    Phantom
        uint8 RGB of equal channels, radiological convention, nose up. Objects: brain tumor (its enhancing
        part and its interior, without the oedema around it).
    """
    rng = generator("brain_mri", seed)
    picture = Picture(rng, np.full((size, size), 3.0))
    middle = (size * rng.uniform(0.485, 0.515), size * rng.uniform(0.485, 0.515))
    radii = (size * rng.uniform(0.335, 0.37), size * rng.uniform(0.41, 0.44))
    tilt = rng.uniform(-0.08, 0.08)
    shape = random_harmonics(rng, 0.02, (2, 3))

    def head(inset: float) -> Blob:
        return Blob(middle, (radii[0] - inset * size, radii[1] - inset * size), tilt, shape, 2.15)

    picture.paint(head(0.0), _FAT * rng.uniform(0.85, 1.0))
    picture.paint(head(rng.uniform(0.016, 0.024)), _SKULL, 2)
    skull = rng.uniform(0.045, 0.052)
    picture.paint(head(skull), _FLUID)
    brain = head(skull + 0.008)
    _draw_matter(picture, brain)
    _draw_midline(picture, middle, radii, tilt)
    _draw_ventricles(picture, middle, tilt)
    if rng.random() >= 0.125:
        _draw_tumour(picture, brain.mask(picture.size_hw), head(skull + 0.03))
    bias = 1 + rng.uniform(0.02, 0.1) * smooth_noise(rng, picture.size_hw, size)
    pixels = expose(rng, picture.image * bias, 0.7, rng.uniform(2, 6), 0.5)
    burn_mark(pixels, 200)
    return Phantom(pixels, tuple(picture.objects), Modality.MRI)


def _draw_matter(picture: Picture, brain: Blob) -> None:
    """Fill the brain with grey matter, white matter within its folds, and fluid in the sulci."""
    rng, size = picture.rng, picture.size_hw[0]
    y, x = np.mgrid[:size, :size] + 0.5
    depth = brain.depth(x, y)
    folds = smooth_noise(rng, picture.size_hw, size / 26)
    folds += 0.5 * smooth_noise(rng, picture.size_hw, size / 13)
    inside = coverage(depth, 1.5)
    texture = 1 + 0.03 * smooth_noise(rng, picture.size_hw, size / 90)
    blend(picture.image, _GREY * texture, inside)
    # The depth of the white matter's border varies, which makes gyri.
    white = coverage(depth - size * (0.036 + 0.017 * folds), 2.5)
    blend(picture.image, _WHITE * texture, white * inside)
    rim = np.exp(-((depth / (size * 0.03)) ** 2))
    sulci = np.clip(np.abs(folds) * -4 + 1.0, 0, 1) * rim * inside
    blend(picture.image, _FLUID, 0.85 * sulci)
    for side in (-1, 1):  # deep grey nuclei
        dx, dy = side * size * rng.uniform(0.07, 0.085), size * rng.uniform(-0.01, 0.03)
        nucleus = Blob(
            _turned(brain.center_xy, dx, dy, brain.angle),
            (size * 0.032, size * 0.06),
            side * 0.35 + brain.angle,
            random_harmonics(rng, 0.1),
        )
        picture.paint(nucleus, _GREY * 1.05, 4)


def _draw_midline(picture: Picture, middle: Point, radii: Point, tilt: float) -> None:
    """Draw the fissure between the hemispheres, anterior and posterior."""
    size = picture.size_hw[0]
    canvas = np.zeros(picture.size_hw, dtype=np.uint8)
    for start, end in ((-0.84, -0.34), (0.84, 0.4)):
        ends = [_turned(middle, 0, at * radii[1], tilt) for at in (start, end)]
        line(canvas, ends[0], ends[1], size / 110, 255)
    blend(picture.image, _FLUID, 0.9 * blur(canvas / 255.0, 0.8))


def _draw_ventricles(picture: Picture, middle: Point, tilt: float) -> None:
    """Draw the lateral ventricles as two crescents, and the third ventricle between them."""
    rng, size = picture.rng, picture.size_hw[0]
    wide, spread = rng.uniform(0.014, 0.03), rng.uniform(0.018, 0.028)
    for side in (-1, 1):
        lean = side * rng.uniform(0.25, 0.4)
        for up, long, turn in ((-0.075, 0.058, -lean), (0.075, 0.065, lean)):
            center = _turned(middle, side * size * (spread + wide), up * size, tilt)
            horn = Blob(center, (size * wide, size * long), turn + tilt, random_harmonics(rng, 0.08))
            picture.paint(horn, _FLUID, 2)
    third = Blob(_turned(middle, 0, 0.02 * size, tilt), (size * 0.008, size * 0.04), tilt)
    picture.paint(third, _FLUID, 2)


def _draw_tumour(picture: Picture, brain: BoolArray, inner: Blob) -> None:
    """Draw a mass, solid or a bright ring around necrosis, with oedema around it."""
    rng, size = picture.rng, picture.size_hw[0]
    for _ in range(40):
        radius = size * np.exp(rng.uniform(np.log(0.03), np.log(0.11)))
        turn, away = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0.05, 0.8))
        center = (
            inner.center_xy[0] + away * (inner.radii_xy[0] - radius) * np.cos(turn),
            inner.center_xy[1] + away * (inner.radii_xy[1] - radius) * np.sin(turn),
        )
        flat = rng.uniform(0.7, 1.0)
        tumour = Blob(center, (radius, radius * flat), rng.uniform(0, np.pi), random_harmonics(rng, 0.16))
        mask = tumour.mask(picture.size_hw)
        if not (mask & ~brain).any():
            break
    else:
        return
    around = (radius * rng.uniform(1.3, 1.9), radius * rng.uniform(1.3, 1.8))
    swelling = Blob(center, around, turn, random_harmonics(rng, 0.3))
    y, x = np.mgrid[:size, :size] + 0.5
    halo = coverage(swelling.depth(x, y), radius * 0.6) * brain
    blend(picture.image, _GREY * 0.78, 0.75 * halo)
    texture = 1 + 0.07 * smooth_noise(rng, picture.size_hw, radius / 2.5)
    picture.paint(tumour, rng.uniform(165, 215) * texture, 2)
    if rng.random() < 0.55:
        part = rng.uniform(0.5, 0.75)
        core = Blob(center, (radius * part, radius * flat * part), turn, random_harmonics(rng, 0.25))
        picture.paint(core, rng.uniform(40, 70), 3)
    picture.add("brain tumor", mask)


def _turned(middle: Point, dx: float, dy: float, angle: float) -> Point:
    """Return a point relative to the middle of a rotated head."""
    cos, sin = np.cos(angle), np.sin(angle)
    return float(middle[0] + cos * dx - sin * dy), float(middle[1] + sin * dx + cos * dy)
