"""Microscopy phantom: a stained blood smear with red cells, white cells with lobed nuclei, platelets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.shapes import (
    Blob,
    Field,
    Phantom,
    PhantomObject,
    blend,
    blur,
    burn_mark,
    coverage,
    generator,
    random_harmonics,
    smooth_noise,
)
from medrov_cli.core.settings.choices import Modality

# Optical densities (red, green, blue) of the stain; light falls off as exp(-density).
_RED_CELL = (0.22, 0.62, 0.50)
_NUCLEUS = (0.95, 1.25, 0.42)
_CYTOPLASM = (0.20, 0.42, 0.16)
_PLATELET = (0.50, 0.72, 0.24)
_LEAST_VISIBLE = 0.3  # fraction of a cell's area inside the image; cells below it would not be annotated


@dataclass
class _Smear:
    """A smear under construction: the optical density of three colours, and the objects."""

    rng: np.random.Generator
    size_hw: tuple[int, int]
    cell_px: float
    density: Field
    objects: list[PhantomObject] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def place(self, radius: float, closeness: float) -> tuple[float, float] | None:
        """Return a free position for a disc that may overlap others by ``1 - closeness``, or null."""
        height, width = self.size_hw
        for _ in range(40):
            x, y = self.rng.uniform(-0.4 * radius, width + 0.4 * radius), self.rng.uniform(0, height)
            y += self.rng.uniform(-0.4, 0.4) * radius
            if all(np.hypot(x - a, y - b) > closeness * (radius + r) for a, b, r in self.taken):
                self.taken.append((x, y, radius))
                return x, y
        return None

    def is_visible(self, blob: Blob) -> bool:
        """Return whether a sufficient part of an outline is inside the image."""
        visible = np.count_nonzero(blob.mask(self.size_hw))
        return bool(visible > _LEAST_VISIBLE * np.pi * blob.radii_xy[0] * blob.radii_xy[1])


def blood_smear(seed: int, *, size_hw: tuple[int, int] = (480, 640)) -> Phantom:
    """Draw one field of a stained blood smear.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same field.
    size_hw
        Rows and columns.

    Returns
    -------
    Phantom
        uint8 RGB. Objects: red blood cell, white blood cell, platelets (one box per platelet).
        A cell's mask includes pixels below another cell, and ends at the image's border.
    """
    rng = generator("blood_smear", seed)
    cell_px = min(size_hw) * rng.uniform(0.055, 0.105)
    smear = _Smear(rng, size_hw, cell_px, np.zeros((*size_hw, 3)))
    for _ in range(int(rng.choice([0, 1, 1, 1, 2]))):
        _draw_white_cell(smear)
    for _ in range(int(rng.integers(0, 6))):
        _draw_platelet(smear)
    crowding = rng.uniform(0.2, 0.75)
    red_cells = crowding * size_hw[0] * size_hw[1] / (np.pi * cell_px**2)
    for _ in range(max(6, int(red_cells))):
        _draw_red_cell(smear, rng.uniform(0.62, 1.05))
    pixels = _develop(smear)
    burn_mark(pixels, 20)
    return Phantom(pixels, tuple(smear.objects), Modality.MICROSCOPY)


def _draw_red_cell(smear: _Smear, closeness: float) -> None:
    """Draw a disc that is paler in its middle and sharper at its rim."""
    rng = smear.rng
    radius = smear.cell_px * rng.normal(1, 0.08)
    center = smear.place(radius, closeness)
    if center is None:
        return
    stretch = rng.uniform(0.78, 1.0) if rng.random() < 0.85 else rng.uniform(0.45, 0.7)
    blob = Blob(center, (radius, radius * stretch), rng.uniform(0, np.pi), random_harmonics(rng, 0.07))
    if not smear.is_visible(blob):
        return
    window, depth = blob.patch(smear.size_hw)
    inside = coverage(depth, rng.uniform(1.5, 3.0))
    middle = np.clip(depth / min(blob.radii_xy), 0, 1)
    pallor = rng.uniform(0, 0.85) * _step(middle, rng.uniform(0.35, 0.7), rng.uniform(0.15, 0.4))
    rim = 0.25 * np.exp(-(((middle - 0.08) / 0.07) ** 2))
    amount = inside * (0.9 - pallor + rim) * rng.uniform(0.75, 1.15)
    smear.density[window] += amount[..., None] * np.multiply(_RED_CELL, rng.normal(1, 0.06, 3))
    smear.objects.append(PhantomObject("red blood cell", blob.mask(smear.size_hw)))


def _step(value: Field, middle: float, width: float) -> Field:
    """Return a smooth step from 0 to 1 around ``middle``."""
    t = np.clip((value - middle) / width + 0.5, 0, 1)
    result: Field = t * t * (3 - 2 * t)
    return result


def _draw_white_cell(smear: _Smear) -> None:
    """Draw a neutrophil, an eosinophil, a monocyte or a lymphocyte."""
    rng = smear.rng
    kind = str(rng.choice(["neutrophil", "neutrophil", "eosinophil", "monocyte", "lymphocyte"]))
    radius = smear.cell_px * (rng.uniform(1.05, 1.4) if kind == "lymphocyte" else rng.uniform(1.4, 2.0))
    center = smear.place(radius, 1.0)
    if center is None:
        return
    blob = Blob(
        center, (radius, radius * rng.uniform(0.85, 1.0)), rng.uniform(0, np.pi), random_harmonics(rng, 0.08)
    )
    if not smear.is_visible(blob):
        return
    window, depth = blob.patch(smear.size_hw)
    body = coverage(depth, 3.0)
    grain = blur(rng.standard_normal(depth.shape), 1.3)
    grain /= grain.std()
    stain = np.multiply(_CYTOPLASM, (0.7, 1.5, 1.6) if kind == "eosinophil" else (1, 1, 1))
    amount = body * (1 + (0.35 if kind == "eosinophil" else 0.18) * grain) * rng.uniform(0.8, 1.3)
    smear.density[window] += amount[..., None] * stain
    nucleus = _nucleus(smear, kind, center, radius)[window] * body
    chromatin = 0.85 + 0.13 * smooth_noise(rng, depth.shape, radius / 5) + 0.05 * grain
    dark = np.multiply(_NUCLEUS, rng.uniform(0.75, 1.1)) * np.clip(chromatin, 0.4, 1.4)[..., None]
    blend(smear.density[window], dark, nucleus)
    smear.objects.append(PhantomObject("white blood cell", blob.mask(smear.size_hw)))


def _nucleus(smear: _Smear, kind: str, center: tuple[float, float], radius: float) -> Field:
    """Return the opacity of a nucleus: round, kidney-shaped, or two to five joined lobes."""
    rng = smear.rng
    if kind == "lymphocyte":
        parts = [(0.0, 0.0, 0.8)]
    elif kind == "monocyte":
        parts = [(0.38 * np.cos(t), 0.38 * np.sin(t), 0.42) for t in np.linspace(0, 3.4, 7)]
    else:
        count = 2 if kind == "eosinophil" else int(rng.integers(2, 6))
        turns = np.linspace(0, rng.uniform(2.6, 4.6), count)
        away = 0.42 if count > 2 else 0.38
        parts = [(away * np.cos(t), away * np.sin(t), rng.uniform(0.26, 0.36)) for t in turns]
    turn = rng.uniform(0, 2 * np.pi)
    depth = np.full(smear.size_hw, -np.inf)
    for dx, dy, r in parts:
        x = center[0] + radius * (dx * np.cos(turn) - dy * np.sin(turn))
        y = center[1] + radius * (dx * np.sin(turn) + dy * np.cos(turn))
        lobe = Blob((x, y), (r * radius, r * radius * rng.uniform(0.8, 1)), turn, random_harmonics(rng, 0.12))
        window, part = lobe.patch(smear.size_hw, 8)
        depth[window] = np.maximum(depth[window], part)
    return coverage(np.maximum(depth, -1e3), 3.0)


def _draw_platelet(smear: _Smear) -> None:
    """Draw a small granular body."""
    rng = smear.rng
    radius = smear.cell_px * rng.uniform(0.2, 0.42)
    center = smear.place(radius, 1.3)
    if center is None:
        return
    blob = Blob(
        center, (radius, radius * rng.uniform(0.6, 1.0)), rng.uniform(0, np.pi), random_harmonics(rng, 0.25)
    )
    if not smear.is_visible(blob):
        return
    window, depth = blob.patch(smear.size_hw)
    grain = np.clip(1 + 0.3 * smooth_noise(rng, depth.shape, 3), 0.3, 1.8)
    amount = coverage(depth, 2.5) * grain * rng.uniform(0.7, 1.2)
    smear.density[window] += amount[..., None] * np.asarray(_PLATELET)
    smear.objects.append(PhantomObject("platelets", blob.mask(smear.size_hw)))


def _develop(smear: _Smear) -> npt.NDArray[np.uint8]:
    """Return the RGB image: uneven light through the stain, lens blur, sensor noise."""
    rng, size_hw = smear.rng, smear.size_hw
    paper = np.array([rng.uniform(205, 240), rng.uniform(200, 232), rng.uniform(195, 232)])
    light = 1 + rng.uniform(0.01, 0.05) * smooth_noise(rng, size_hw, max(size_hw) / 2)
    haze = 1 + 0.012 * smooth_noise(rng, size_hw, 25)
    image = paper * (light * haze)[..., None] * np.exp(-smear.density)
    image = np.dstack([blur(np.ascontiguousarray(image[..., c]), rng.uniform(0.6, 1.3)) for c in range(3)])
    image += rng.uniform(1.0, 3.0) * rng.standard_normal((*size_hw, 1)) + rng.standard_normal((*size_hw, 3))
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)
