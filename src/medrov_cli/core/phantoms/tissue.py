"""Histopathology phantom (haematoxylin and eosin): fibrous stroma, nests of cells, their nuclei."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from medrov_cli.core.phantoms.picture import expose
from medrov_cli.core.phantoms.shapes import (
    Blob,
    BoolArray,
    Field,
    Phantom,
    PhantomObject,
    blend,
    burn_mark,
    coverage,
    generator,
    random_harmonics,
    smooth_noise,
)
from medrov_cli.core.settings.choices import Modality

# Optical densities (red, green, blue) of the stains; light falls off as exp(-density).
_HAEMATOXYLIN = np.array([0.72, 0.92, 0.35])
_EOSIN = np.array([0.09, 0.48, 0.24])
_LEAST_VISIBLE = 0.3  # fraction of a nucleus' area inside the image


@dataclass
class _Section:
    rng: np.random.Generator
    size: int
    density: Field
    objects: list[PhantomObject] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)


def stained_tissue(seed: int, *, size: int = 400) -> Phantom:
    """Draw one field of a tissue section.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same field.
    size
        Rows and columns.

    Returns
    -------
    Phantom
        uint8 RGB (size, size, 3). Objects: nuclei (one box per nucleus, cut at the border).
    """
    rng = generator("stained_tissue", seed)
    section = _Section(rng, size, np.zeros((size, size, 3)))
    nests = smooth_noise(rng, (size, size), size / rng.uniform(2.5, 5)) + rng.uniform(-0.4, 0.9)
    tissue = _draw_ground(section, nests)
    radius = size * rng.uniform(0.015, 0.026)
    wanted = int(rng.uniform(0.12, 0.3) * size * size / (np.pi * radius**2))
    for _ in range(wanted):
        _draw_nucleus(section, nests, tissue, radius)
    light = np.array([rng.uniform(232, 248), rng.uniform(228, 244), rng.uniform(234, 250)])
    image = light * np.exp(-section.density)
    pixels = expose(rng, image, rng.uniform(0.6, 1.1), rng.uniform(1, 3))
    burn_mark(pixels, 20)
    return Phantom(pixels, tuple(section.objects), Modality.HISTOPATHOLOGY)


def _draw_ground(section: _Section, nests: Field) -> BoolArray:
    """Draw fibres between the nests, the paler plasma of the cells inside them, and a few clefts.

    Returns the pixels of tissue.
    """
    rng, size = section.rng, section.size
    bend = smooth_noise(rng, (size, size), size / 2.5)
    y, x = np.mgrid[:size, :size] / size
    turn = rng.uniform(0, np.pi)
    along = (x * np.cos(turn) + y * np.sin(turn)) * 60 + 4 * bend
    fibres = 0.5 + 0.5 * np.sin(along + 1.5 * smooth_noise(rng, (size, size), size / 30))
    stroma = 0.75 + 0.35 * fibres + 0.15 * smooth_noise(rng, (size, size), size / 12)
    plasma = 0.72 + 0.12 * smooth_noise(rng, (size, size), size / 45)
    inside = np.clip(nests * 2.5 + 0.5, 0, 1)
    amount = stroma + (plasma - stroma) * inside
    section.density += amount[..., None] * _EOSIN * rng.uniform(0.75, 1.25)
    section.density += 0.06 * inside[..., None] * _HAEMATOXYLIN
    clefts = np.clip(smooth_noise(rng, (size, size), size / 9) * 3 - rng.uniform(4.5, 8), 0, 1)
    section.density *= 1 - 0.9 * clefts[..., None]
    return np.asarray(clefts < 0.2)


def _draw_nucleus(section: _Section, nests: Field, tissue: BoolArray, radius: float) -> None:
    """Draw a round nucleus of a nest or a spindle of the stroma at a free place."""
    rng, size = section.rng, section.size
    for _ in range(12):
        x, y = rng.uniform(-0.5 * radius, size + 0.5 * radius, 2)
        row, column = int(np.clip(y, 0, size - 1)), int(np.clip(x, 0, size - 1))
        is_nested = nests[row, column] > 0
        if not tissue[row, column] or (not is_nested and rng.random() < 0.75):
            continue
        own = radius * rng.uniform(0.8, 1.25) * (1.0 if is_nested else 1.15)
        if all(np.hypot(x - a, y - b) > 0.95 * (own + r) for a, b, r in section.taken):
            break
    else:
        return
    flat = rng.uniform(0.7, 1.0) if is_nested else rng.uniform(0.28, 0.45)
    blob = Blob((x, y), (own, own * flat), rng.uniform(0, np.pi), random_harmonics(rng, 0.09))
    mask = blob.mask((size, size))
    if np.count_nonzero(mask) < _LEAST_VISIBLE * np.pi * own * own * flat:
        return
    section.taken.append((x, y, own))
    window, depth = blob.patch((size, size))
    chromatin = 0.8 + 0.16 * smooth_noise(rng, depth.shape, max(2.0, own / 3))
    rim = 0.3 * np.exp(-(((depth - 1.2) / 1.2) ** 2))
    amount = np.clip(chromatin + rim, 0.3, 1.5) * rng.uniform(0.65, 1.2)
    if is_nested and rng.random() < 0.3:  # a nucleolus
        dy, dx = np.mgrid[window] + 0.5
        spot = np.hypot(dx - x - 0.2 * own, dy - y) / (0.22 * own)
        amount += 0.5 * np.exp(-(spot**2))
    blend(section.density[window], amount[..., None] * _HAEMATOXYLIN, coverage(depth, 2.0))
    section.objects.append(PhantomObject("nuclei", mask))
