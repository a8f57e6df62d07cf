"""Endoscopy phantom: mucosa with folds and vessels, the dark lumen, reflections, one or two polyps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.shapes import (
    Blob,
    BoolArray,
    Field,
    Phantom,
    PhantomObject,
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

_LEAST_VISIBLE = 0.7  # fraction of a polyp's area inside the round view
_TINTS = ((1.02, 0.78, 0.78), (1.06, 1.16, 1.18), (0.98, 0.9, 0.92))  # redder, paler, greyer than the wall


@dataclass
class _View:
    """A frame under construction: relief (in pixels, towards the viewer), colour and light."""

    rng: np.random.Generator
    size: int
    aperture: BoolArray
    lumen_xy: tuple[float, float]
    relief: Field
    colour: Field
    light: Field
    gloss: Field
    objects: list[PhantomObject] = field(default_factory=list)


def endoscopy_polyp(seed: int, *, size: int = 480) -> Phantom:
    """Draw one colonoscopy frame with one or two polyps.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same frame.
    size
        Rows and columns.

    Returns
    -------
    Phantom
        uint8 RGB (size, size, 3) with black corners. Objects: colon polyp.
    """
    rng = generator("endoscopy_polyp", seed)
    view = _mucosa(rng, size)
    _draw_vessels(view)
    for _ in range(1 if rng.random() < 0.75 else 2):
        _draw_polyp(view)
    pixels = _develop(view)
    burn_mark(pixels, 230)
    return Phantom(pixels, tuple(view.objects), Modality.ENDOSCOPY)


def _aperture(rng: np.random.Generator, size: int) -> BoolArray:
    """Return the illuminated part of the frame: a disc or a square with cut corners."""
    y, x = np.abs(np.mgrid[:size, :size] + 0.5 - size / 2)
    if rng.random() < 0.3:
        return np.asarray(np.hypot(x, y) < size * rng.uniform(0.47, 0.52))
    inside = (x < size * 0.49) & (y < size * rng.uniform(0.42, 0.49))
    return np.asarray(inside & (x + y < size * rng.uniform(0.68, 0.82)))


def _mucosa(rng: np.random.Generator, size: int) -> _View:
    """Return a wall with haustral folds around the lumen, which may lie outside the frame."""
    y, x = np.mgrid[:size, :size] + 0.5
    away, turn = rng.uniform(0.05, 0.75) * size, rng.uniform(0, 2 * np.pi)
    lumen = (size / 2 + away * np.cos(turn), size / 2 + away * np.sin(turn))
    bend = smooth_noise(rng, (size, size), size / 3)
    squeeze, tilt = rng.uniform(0.65, 1.0), rng.uniform(0, np.pi)
    u = (x - lumen[0]) * np.cos(tilt) + (y - lumen[1]) * np.sin(tilt)
    v = ((y - lumen[1]) * np.cos(tilt) - (x - lumen[0]) * np.sin(tilt)) / squeeze
    distance = np.hypot(u, v) * (1 + 0.13 * bend) / size
    rings = rng.uniform(1.2, 2.4) * np.log(distance + 0.06) * np.pi + 0.5 * bend + rng.uniform(0, 6)
    presence = np.clip(0.6 + 0.5 * smooth_noise(rng, (size, size), size / 2.5), 0, 1)
    crest = np.exp(2.6 * (np.sin(rings) - 1)) * presence
    relief = size * (0.045 * crest * np.clip(distance * 3, 0.15, 1) + 0.010 * bend)
    relief += size * 0.0011 * smooth_noise(rng, (size, size), size / 60)
    pink = np.array([rng.uniform(195, 235), rng.uniform(95, 145), rng.uniform(75, 125)])
    colour = np.broadcast_to(pink, (size, size, 3)).copy()
    blotches = smooth_noise(rng, (size, size), size / 7)[..., None]
    colour *= 1 + blotches * np.array([0.015, 0.06, 0.06])
    hole = rng.uniform(0.05, 0.16)
    light = 1 - np.exp(-((distance / hole) ** 2)) * 0.93
    light *= np.clip(0.45 + 1.1 * distance, 0.3, 1.05)
    return _View(rng, size, _aperture(rng, size), lumen, relief, colour, light, np.ones((size, size)))


def _draw_vessels(view: _View) -> None:
    """Draw a net of fine, branching, submucosal vessels."""
    rng, size = view.rng, view.size
    canvas = np.zeros((size, size), dtype=np.uint8)
    for _ in range(int(rng.integers(8, 30))):
        x, y = rng.uniform(0, size, 2)
        _grow(rng, canvas, (x, y), rng.uniform(0, 2 * np.pi), rng.uniform(1.6, 3.6) * size / 480)
    opacity = blur(canvas / 255.0, 0.9 * size / 480) * rng.uniform(0.2, 0.6)
    blend(view.colour, (150, 45, 40), opacity)


def _grow(
    rng: np.random.Generator,
    canvas: npt.NDArray[np.uint8],
    start_xy: tuple[float, float],
    heading: float,
    width_px: float,
) -> None:
    """Draw one vessel as a winding, thinning line, with its branches."""
    (x, y), step = start_xy, canvas.shape[0] / 60
    while width_px > 0.5:
        heading += rng.normal(0, 0.28)
        end = (x + step * np.cos(heading), y + step * np.sin(heading))
        line(canvas, (x, y), end, width_px, 110 * width_px)
        (x, y), width_px = end, width_px * rng.uniform(0.93, 0.99)
        if rng.random() < 0.16:
            turn = rng.choice([-1, 1]) * rng.uniform(0.4, 1)
            _grow(rng, canvas, (x, y), heading + turn, width_px * rng.uniform(0.5, 0.8))
        if rng.random() < 0.03:
            return


def _draw_polyp(view: _View) -> None:
    """Draw a dome with its own colour and texture, and the shadow beside it."""
    rng, size = view.rng, view.size
    blob = _find_place(view)
    if blob is None:
        return
    window, depth = blob.patch((size, size), size * 0.12)
    radius = min(blob.radii_xy)
    height = np.clip(depth / radius, 0, 1)
    inside = coverage(depth, max(1.5, radius * rng.uniform(0.04, 0.14)))
    dome = radius * rng.uniform(0.3, 0.75) * np.sqrt(np.clip(1 - (1 - height) ** 2, 0, 1))
    lobes = smooth_noise(rng, depth.shape, radius * rng.uniform(0.35, 0.7)) * radius * rng.uniform(0, 0.06)
    pits = smooth_noise(rng, depth.shape, max(2.5, radius * 0.09)) * radius * rng.uniform(0, 0.012)
    relief = view.relief[window]
    relief *= 1 - 0.9 * inside
    relief += (dome + (lobes + pits) * np.sqrt(height)) * (depth > 0)
    tint = np.array(_TINTS[int(rng.choice([0, 1, 2]))]) * rng.uniform(0.94, 1.05, 3)
    body = view.colour[window] * tint * (1 + 0.05 * smooth_noise(rng, depth.shape, radius / 4)[..., None])
    blend(view.colour[window], body, inside)
    blend(view.light[window], np.maximum(view.light[window], rng.uniform(0.72, 0.95)), inside)
    near = np.exp(-np.clip(-depth, 0, None) / (radius * rng.uniform(0.1, 0.25))) * (1 - inside)
    view.light[window] *= 1 - rng.uniform(0.1, 0.45) * near
    view.gloss[window] += 1.5 * inside
    view.objects.append(PhantomObject("colon polyp", blob.mask((size, size)) & view.aperture))


def _find_place(view: _View) -> Blob | None:
    """Return an outline in the illuminated part, outside the lumen and the other polyp."""
    rng, size = view.rng, view.size
    for _ in range(60):
        radius = size * np.exp(rng.uniform(np.log(0.055), np.log(0.22)))
        x, y = rng.uniform(0.15 * size, 0.85 * size, 2)
        stretch = rng.uniform(0.68, 1.0)
        blob = Blob((x, y), (radius, radius * stretch), rng.uniform(0, np.pi), random_harmonics(rng, 0.13))
        mask = blob.mask((size, size))
        area = np.pi * radius * radius * stretch
        if np.count_nonzero(mask & view.aperture) < _LEAST_VISIBLE * area:
            continue
        if view.light[mask].mean() < 0.4 or any((mask & other.mask).any() for other in view.objects):
            continue
        return blob
    return None


def _develop(view: _View) -> npt.NDArray[np.uint8]:
    """Return the RGB frame: shading of the relief, reflections, vignette, lens blur and noise."""
    rng, size = view.rng, view.size
    slope_x, slope_y = _slopes(blur(view.relief, size / 400))
    y, x = (np.mgrid[:size, :size] + 0.5 - size / 2) / size
    # The lamp is beside the lens: the direction of light differs slightly from the line of sight.
    toward_x = rng.uniform(-0.25, 0.25) - 0.5 * x
    toward_y = rng.uniform(-0.25, 0.25) - 0.5 * y
    shade = _facing(slope_x, slope_y, toward_x, toward_y)
    wet = view.relief + size * 0.0016 * smooth_noise(rng, (size, size), size / 75)
    wet_x, wet_y = _slopes(blur(wet, size / 500))
    glint = _facing(wet_x, wet_y, toward_x, toward_y)
    patches = np.clip(smooth_noise(rng, (size, size), size / 8) - rng.uniform(0.5, 1.3), 0, 1)
    patches = np.clip((patches + 0.35 * (view.gloss - 1)) * 2.2, 0, 1)
    glint = glint ** rng.uniform(140, 260) * view.light * patches
    vignette = 1 - rng.uniform(0.3, 0.7) * (x**2 + y**2) * 1.6
    image = view.colour * ((0.3 + 0.7 * shade**1.4) * view.light * vignette)[..., None]
    blend(image, (255, 250, 245), np.clip(glint * rng.uniform(1.2, 2.2), 0, 1))
    image *= blur(view.aperture.astype(np.float64), 0.8)[..., None]
    image = np.dstack([blur(np.ascontiguousarray(image[..., c]), rng.uniform(0.6, 1.1)) for c in range(3)])
    image += rng.uniform(1, 3) * rng.standard_normal((size, size, 1))
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def _slopes(relief: Field) -> tuple[Field, Field]:
    """Return the slopes of a relief along x and along y."""
    slope_x: Field = np.gradient(relief, axis=1)
    slope_y: Field = np.gradient(relief, axis=0)
    return slope_x, slope_y


def _facing(slope_x: Field, slope_y: Field, toward_x: Field, toward_y: Field) -> Field:
    """Return the cosine between a surface's normal and the direction of the lamp, 0 to 1."""
    norm = np.sqrt(slope_x**2 + slope_y**2 + 1) * np.sqrt(toward_x**2 + toward_y**2 + 1)
    return np.asarray(np.clip((1 - slope_x * toward_x - slope_y * toward_y) / norm, 0, 1), np.float64)
