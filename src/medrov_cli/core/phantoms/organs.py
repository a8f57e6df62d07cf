"""Patient of the abdominal phantom: body size, contrast phase and organs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.phantoms.ct import BLOOD_HU, CtSlice
from medrov_cli.core.phantoms.shapes import Blob, generator, random_harmonics


@dataclass(frozen=True, slots=True)
class Organ:
    """An ellipsoid with an irregular outline.

    Attributes
    ----------
    name
        Class of its box; null for an organ without annotation.
    hu
        Mean HU.
    center_xyz, radii_xyz
        Centre and radii in mm from the middle of the body; x to the left, y posterior, z to the head.
    angle
        Rotation of a section in radians, from x towards y.
    drift_xy
        Movement of the section's centre for each mm towards the head.
    harmonics
        Irregularity of the outline, as in ``Blob``.
    """

    name: str | None
    hu: float
    center_xyz: tuple[float, float, float]
    radii_xyz: tuple[float, float, float]
    angle: float = 0.0
    drift_xy: tuple[float, float] = (0.0, 0.0)
    harmonics: tuple[tuple[int, float, float], ...] = ()

    def section(self, z: float, ct: CtSlice) -> Blob | None:
        """Return the outline at one level; null outside the organ."""
        dz = z - self.center_xyz[2]
        shrink = 1 - (dz / self.radii_xyz[2]) ** 2
        if shrink <= 0.02:
            return None
        scale = np.sqrt(shrink)
        x = self.center_xyz[0] + self.drift_xy[0] * dz
        y = self.center_xyz[1] + self.drift_xy[1] * dz
        blob = ct.blob(x, y, self.radii_xyz[0] * scale, self.radii_xyz[1] * scale, angle=self.angle)
        return Blob(blob.center_xy, blob.radii_xy, blob.angle, self.harmonics)


@dataclass(frozen=True, slots=True)
class Body:
    """One synthetic patient.

    Attributes
    ----------
    half_width, half_height
        Half width and height of the abdominal cavity, in mm.
    blood_hu
        HU of the vessels.
    organs
        Organs in the order of drawing: later ones cover earlier ones.
    seed
        Seed of the patient.
    """

    half_width: float
    half_height: float
    blood_hu: float
    organs: tuple[Organ, ...]
    seed: int


def imagine_body(seed: int) -> Body:
    """Draw body size, contrast phase and organs of one patient."""
    rng = generator("abdomen_body", seed)
    phase = rng.uniform(0.4, 1.0) if rng.random() < 0.6 else 0.0
    width, height = rng.uniform(112, 130), rng.uniform(78, 92)
    liver_hu = 52 + 55 * phase + rng.uniform(-8, 8)
    big = rng.uniform(0.88, 1.08)
    organs = [
        _organ(
            rng,
            Organ(None, liver_hu - 5, (80, 22, 40), (24 * big, 42 * big, 48), 0.35),
            (6, 8, 0),
            0.1,
        ),
        _organ(rng, Organ(None, rng.uniform(0, 45), (48, -32, 48), (44, 26, 50), 0.3), (8, 8, 0), 0.15),
        _organ(
            rng,
            Organ("liver", liver_hu, (-57, -2, 28), (60 * big, 69 * big, 92 * big), 0.15),
            (5, 5, 8),
            0.08,
        ),
        _organ(rng, Organ("liver", liver_hu, (-4, -42, 42), (56 * big, 26 * big, 46), 0.12), (8, 0, 6), 0.1),
        _organ(rng, Organ(None, 8, (-38, -30, -12), (15, 19, 26), 0.4), (8, 8, 0), 0.08),
    ]
    for side, name in ((-1, "right kidney"), (1, "left kidney")):
        x, y = side * (56 + _shift(rng, 6)), 38 + _shift(rng, 5)
        z = _shift(rng, 8) - 14 + (8 if side > 0 else 0)  # the right kidney is lower, below the liver
        radii = (rng.uniform(23, 29), rng.uniform(26, 32), rng.uniform(50, 60))
        outline = random_harmonics(rng, 0.06)
        kidney_hu = 33 + 150 * phase
        organs.append(Organ(name, kidney_hu, (x, y, z), radii, side * -0.5, (side * -0.18, 0.08), outline))
    return Body(width, height, BLOOD_HU + 150 * phase, tuple(organs), seed)


def _organ(
    rng: np.random.Generator, usual: Organ, spread_xyz: tuple[float, float, float], wobble: float
) -> Organ:
    """Return an organ near its usual position, with a random outline."""
    places = zip(usual.center_xyz, spread_xyz, strict=True)
    x, y, z = (place + (_shift(rng, spread) if spread else 0.0) for place, spread in places)
    return replace(usual, center_xyz=(x, y, z), harmonics=random_harmonics(rng, wobble))


def _shift(rng: np.random.Generator, spread: float) -> float:
    return float(rng.uniform(-spread, spread))
