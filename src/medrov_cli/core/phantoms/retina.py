"""Fundus phantom: the retina with its vessels, the macula, the optic disc and its cup."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.picture import Picture, expose
from medrov_cli.core.phantoms.shapes import (
    Blob,
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


def fundus(seed: int, *, size: int = 480) -> Phantom:
    """Draw one fundus photograph of a right or a left eye.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same photograph.
    size
        Rows and columns.

    Returns
    -------
    Phantom
        uint8 RGB (size, size, 3), black around the round field. Objects: optic disc, optic cup (inside it).
    """
    rng = generator("fundus", seed)
    y, x = np.mgrid[:size, :size] + 0.5
    field = coverage(0.475 * size - np.hypot(x - size / 2, y - size / 2), 3)
    red = np.array([rng.uniform(175, 225), rng.uniform(72, 112), rng.uniform(28, 62)])
    picture = Picture(rng, np.broadcast_to(red, (size, size, 3)).copy())
    _draw_ground(picture)
    side = int(rng.choice([-1, 1]))  # the disc is on the nasal side
    center = (size * (0.5 + side * rng.uniform(0.17, 0.24)), size * rng.uniform(0.46, 0.54))
    macula = (center[0] - side * size * rng.uniform(0.32, 0.36), center[1] + size * rng.uniform(0.0, 0.04))
    _draw_macula(picture, macula)
    radius = size * rng.uniform(0.06, 0.085)
    radii = (radius, radius * rng.uniform(1.02, 1.14))
    disc = Blob(center, radii, rng.uniform(-0.15, 0.15), random_harmonics(rng, 0.03))
    _draw_disc(picture, disc, side)
    _draw_vessels(picture, disc, side)
    light = 1 - rng.uniform(0.5, 1.3) * ((x - size * 0.5) ** 2 + (y - size * 0.5) ** 2) / size**2
    picture.image *= (light * field)[..., None]
    blend(picture.image, (6, 5, 5), 1 - field)
    pixels = expose(rng, picture.image, rng.uniform(0.6, 1.2), rng.uniform(1, 2.5))
    burn_mark(pixels, 200)
    return Phantom(pixels, tuple(picture.objects), Modality.FUNDOSCOPY)


def _draw_ground(picture: Picture) -> None:
    """Draw the uneven pigment, the vessels of the choroid, and fine grain."""
    rng, size = picture.rng, picture.size_hw[0]
    broad = smooth_noise(rng, picture.size_hw, size / 3)[..., None]
    picture.image *= 1 + broad * np.array([0.04, 0.07, 0.07])
    choroid = np.exp(-((smooth_noise(rng, picture.size_hw, size / 22) / 0.4) ** 2))[..., None]
    picture.image *= 1 + rng.uniform(0.0, 0.06) * choroid * np.array([0.6, 1.0, 1.0])
    picture.image *= 1 + 0.012 * smooth_noise(rng, picture.size_hw, 4)[..., None]


def _draw_macula(picture: Picture, center: tuple[float, float]) -> None:
    """Darken the macula, with a small glint in its middle."""
    rng, size = picture.rng, picture.size_hw[0]
    y, x = np.mgrid[:size, :size] + 0.5
    away = np.hypot(x - center[0], y - center[1]) / size
    dark = rng.uniform(0.25, 0.45) * np.exp(-((away / 0.075) ** 2))
    picture.image *= 1 - dark[..., None] * np.array([0.7, 1.0, 0.9])
    blend(picture.image, (220, 150, 110), 0.3 * np.exp(-((away / 0.006) ** 2)))


def _draw_disc(picture: Picture, disc: Blob, side: int) -> None:
    """Draw the disc, a halo, and the paler cup inside it."""
    rng, size = picture.rng, picture.size_hw[0]
    radius = disc.radii_xy[0]
    halo = Blob(disc.center_xy, (radius * 1.2, disc.radii_xy[1] * 1.18))
    picture.paint(halo, (205.0, 120.0, 70.0), radius * 0.3, rng.uniform(0.15, 0.5))
    rim = np.array([rng.uniform(228, 246), rng.uniform(160, 188), rng.uniform(96, 125)])
    picture.paint(disc, tuple(rim), radius * 0.1)
    part = rng.uniform(0.32, 0.72)
    # The cup stays inside the rim of the disc: its centre moves by less than the remaining width.
    shift = (1 - part) * 0.35 * radius
    x, y = disc.center_xy
    cup = Blob(
        (x - side * shift * rng.uniform(0, 1), y + shift * rng.uniform(-0.5, 0.5)),
        (radius * part, disc.radii_xy[1] * part * rng.uniform(0.92, 1.04)),
        disc.angle,
        random_harmonics(rng, 0.04),
    )
    picture.paint(cup, (252.0, rng.uniform(222, 240), rng.uniform(170, 205)), radius * 0.14)
    picture.add("optic disc", disc.mask((size, size)))
    picture.add("optic cup", cup.mask((size, size)))


def _draw_vessels(picture: Picture, disc: Blob, side: int) -> None:
    """Draw the arcades: pairs of a dark vein and a brighter artery, above and below the macula."""
    rng, size = picture.rng, picture.size_hw[0]
    for colour, width in (((112.0, 26.0, 22.0), 0.0125), ((158.0, 48.0, 34.0), 0.009)):
        canvas = np.zeros(picture.size_hw, dtype=np.uint8)
        for up in (-1, 1):
            for toward in (-1, 1):  # to the temple, around the macula; and to the nose
                aim = up * (np.pi / 2 + (0.15 if toward < 0 else -0.5) * rng.uniform(0.6, 1.3))
                heading = aim if side > 0 else np.pi - aim
                start = (
                    disc.center_xy[0] + rng.normal(0, 0.12) * disc.radii_xy[0],
                    disc.center_xy[1] + rng.normal(0, 0.1) * disc.radii_xy[1],
                )
                bend = up * side * (0.055 if toward < 0 else -0.01)
                reach = size * width * (1.0 if toward < 0 else 0.7) * rng.uniform(0.85, 1.1)
                _grow(rng, canvas, start, heading, bend, reach)
        blend(picture.image, colour, 0.85 * blur(canvas / 255.0, size / 700))


def _grow(
    rng: np.random.Generator,
    canvas: npt.NDArray[np.uint8],
    start: tuple[float, float],
    heading: float,
    bend: float,
    width_px: float,
) -> None:
    """Draw one vessel as a bent, winding, thinning line, with its branches."""
    (x, y), step = start, canvas.shape[0] / 48
    while width_px > 0.6:
        heading += bend + rng.normal(0, 0.09)
        end = (float(x + step * np.cos(heading)), float(y + step * np.sin(heading)))
        line(canvas, (x, y), end, width_px, 90 + 45 * width_px)
        (x, y), width_px = end, width_px * rng.uniform(0.92, 0.985)
        if rng.random() < 0.24:
            turn = rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
            _grow(rng, canvas, (x, y), heading + turn, rng.normal(0, 0.02), width_px * rng.uniform(0.5, 0.75))
