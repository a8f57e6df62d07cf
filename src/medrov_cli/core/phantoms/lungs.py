"""Lungs of the chest phantom: outline, parenchyma and vessels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.ct import BLOOD_HU, CtSlice
from medrov_cli.core.phantoms.shapes import BoolArray, blend, blur, line, smooth_noise

LUNG_HU = -860
"""Mean HU of aerated lung at full inspiration."""


def lung_masks(ct: CtSlice, half_width: float, half_height: float, mediastinum: BoolArray) -> list[BoolArray]:
    """Return the patient's right and left lung: the chest cavity without the mediastinum."""
    rng = ct.rng
    cavity = ct.mask(ct.blob(0, 0, half_width, half_height, exponent=2.2, wobble=0.025))
    middle = mediastinum | ct.mask(
        ct.blob(0, 0, rng.uniform(17, 25), half_height * 1.3, exponent=3.0, wobble=0.08)
    )
    middle |= ct.mask(ct.blob(0, half_height - 4, 34, 30, wobble=0.05))
    middle |= ct.mask(ct.blob(0, -half_height, rng.uniform(12, 34), rng.uniform(20, 38)))
    smooth = blur((cavity & ~middle).astype(np.float64), 4.5 / ct.spacing_mm) > 0.5
    _, labels = cv2.connectedComponents(smooth.astype(np.uint8))
    column = int(ct.center_px[0])
    lungs = []
    for half in (labels[:, :column], labels[:, column:]):
        largest = int(np.bincount(half[half > 0]).argmax())
        lungs.append(labels == largest)
    return lungs


def draw_lungs(ct: CtSlice, lungs: list[BoolArray]) -> BoolArray:
    """Fill the lungs with parenchyma and vessels; return the pixels of the larger vessels."""
    rng, shape = ct.rng, (ct.size, ct.size)
    gradient = np.linspace(-25, 35, ct.size)[:, None]
    texture = LUNG_HU + rng.uniform(-40, 40) + gradient + 14 * smooth_noise(rng, shape, 6 / ct.spacing_mm)
    large = np.zeros(shape, dtype=np.bool_)
    for side, lung, name in zip((-1, 1), lungs, ("right lung", "left lung"), strict=True):
        inside = blur(lung.astype(np.float64), 0.8)
        blend(ct.hu, texture, inside)
        vessels = np.zeros(shape, dtype=np.uint8)
        hilum = (ct.center_px[0] + side * 34 / ct.spacing_mm, ct.center_px[1] + 2 / ct.spacing_mm)
        for _ in range(int(rng.integers(5, 10))):
            spread = rng.uniform(-1.35, 1.35)
            _grow(ct, vessels, hilum, spread if side > 0 else np.pi - spread, rng.uniform(1.5, 3.4))
        large |= cv2.erode(vessels, np.ones((3, 3), dtype=np.uint8)) > 100
        _sprinkle(ct, vessels, lung)
        opacity = blur(vessels / 255.0, 0.5) * inside
        blend(ct.hu, rng.uniform(-20, 40) + (ct.blood_hu - BLOOD_HU) * 0.5, np.clip(opacity, 0, 1))
        ct.hide(lung)
        ct.add(name, lung)
    return large


def _grow(
    ct: CtSlice,
    canvas: npt.NDArray[np.uint8],
    start: tuple[float, float],
    heading: float,
    radius_mm: float,
) -> None:
    """Draw one vessel as a bending, thinning line, with its branches."""
    rng = ct.rng
    (x, y), step = start, 3.5 / ct.spacing_mm
    while radius_mm > 0.4:
        heading += rng.normal(0, 0.13)
        nx, ny = x + step * np.cos(heading), y + step * np.sin(heading)
        fine_line(canvas, (x, y), (nx, ny), 2 * radius_mm / ct.spacing_mm)
        x, y, radius_mm = nx, ny, radius_mm * rng.uniform(0.89, 0.975)
        if rng.random() < 0.2 and radius_mm > 0.7:
            turn = rng.choice([-1, 1]) * rng.uniform(0.35, 0.9)
            _grow(ct, canvas, (x, y), heading + turn, radius_mm * rng.uniform(0.5, 0.85))
        if rng.random() < 0.03:
            return


def _sprinkle(ct: CtSlice, canvas: npt.NDArray[np.uint8], lung: BoolArray) -> None:
    """Draw vessels that cross the slice: small dots, thinner towards the pleura."""
    rng = ct.rng
    rows, columns = np.nonzero(lung)
    rim_mm = cv2.distanceTransform(lung.astype(np.uint8), cv2.DIST_L2, 5) * ct.spacing_mm
    for pick in rng.integers(0, len(rows), int(rng.integers(25, 80))):
        row, column = int(rows[pick]), int(columns[pick])
        radius_mm = rng.uniform(0.3, 0.6) + min(1.0, 0.025 * rim_mm[row, column]) * rng.random() ** 2
        heading, length = rng.uniform(0, 2 * np.pi), rng.exponential(1.5) / ct.spacing_mm
        end = (column + length * np.cos(heading), row + length * np.sin(heading))
        fine_line(canvas, (column, row), end, 2 * radius_mm / ct.spacing_mm)


def fine_line(
    canvas: npt.NDArray[np.uint8], start: tuple[float, float], end: tuple[float, float], width_px: float
) -> None:
    """Draw a line of fractional width; lines below one pixel are fainter."""
    line(canvas, start, end, width_px, 255 * min(1.0, 0.25 + 0.75 * width_px / 2))
