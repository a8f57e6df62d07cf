"""CT phantom of the chest in HU: lungs with vessels and nodules, mediastinum, spine, ribs."""

from __future__ import annotations

import cv2
import numpy as np

from medrov_cli.core.phantoms.ct import (
    AIR_HU,
    BLOOD_HU,
    FAT_HU,
    CtSlice,
    acquire,
    draw_ribs,
    draw_spine,
    draw_table,
    draw_wall,
)
from medrov_cli.core.phantoms.lungs import draw_lungs, fine_line, lung_masks
from medrov_cli.core.phantoms.shapes import (
    Blob,
    BoolArray,
    Phantom,
    blend,
    blur,
    burn_mark,
    coverage,
    generator,
    random_harmonics,
    smooth_noise,
)
from medrov_cli.core.settings.choices import Modality


def chest_ct(seed: int, *, size: int = 512, nodule_mm: tuple[float, float] = (5.0, 30.0)) -> Phantom:
    """Draw one axial chest CT slice with one to three lung nodules.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same slice.
    size
        Rows and columns; the field of view is about 360 mm for all sizes.
    nodule_mm
        Range of the nodules' diameters in mm.

    Returns
    -------
    Phantom
        int16 HU (size, size), radiological convention (the patient's left on the image's right).
        Objects: lung nodule, left lung, right lung, aorta, vertebra, and heart or trachea
        depending on the level.
    """
    rng = generator("chest_ct", seed)
    spacing = 358.4 / size * rng.uniform(0.94, 1.12)
    center = (size * (0.5 + rng.uniform(-0.02, 0.02)), size * (0.48 + rng.uniform(-0.03, 0.03)))
    contrast = rng.uniform(110, 280) if rng.random() < 0.5 else rng.uniform(0, 15)
    ct = CtSlice(rng, size, spacing, center, np.full((size, size), float(AIR_HU)), BLOOD_HU + contrast)
    at_heart = bool(rng.random() < 0.55)
    half_width, half_height = rng.uniform(118, 136), rng.uniform(80, 96)
    draw_table(ct, half_height)
    draw_wall(ct, half_width, half_height)
    draw_ribs(ct, half_width, half_height, -1.05, 6)
    mediastinum = _draw_heart(ct, half_height) if at_heart else _draw_great_vessels(ct)
    sternum = ct.blob(0, -half_height - 9, rng.uniform(14, 22), rng.uniform(5, 7), wobble=0.05)
    ct.paint_bone(sternum, 1.5)
    draw_spine(ct, half_height)
    mediastinum |= _draw_descending_aorta(ct, half_height)
    lungs = lung_masks(ct, half_width, half_height, mediastinum)
    vessels = draw_lungs(ct, lungs)
    if not at_heart:
        _draw_airway(ct)
    _draw_nodules(ct, lungs[0] | lungs[1], vessels, nodule_mm)
    pixels = acquire(rng, ct.hu)
    burn_mark(pixels, 1000)
    return Phantom(pixels, tuple(ct.objects), Modality.CT, (spacing, spacing))


def _draw_heart(ct: CtSlice, half_height: float) -> BoolArray:
    """Draw the heart with its apex to the patient's left and front, and return its pixels."""
    rng, blood = ct.rng, ct.blood_hu
    x, y = rng.uniform(14, 24), -half_height * rng.uniform(0.28, 0.4)
    size = rng.uniform(0.88, 1.07)
    outline = ct.blob(x, y, 59 * size, 42 * size, angle=rng.uniform(0.25, 0.6), wobble=0.08)
    _draw_fat(ct, half_height)
    ct.paint(outline, 45 + (blood - BLOOD_HU) * 0.25)
    for dx, dy, rx, ry in ((18, 4, 24, 15), (-16, -10, 19, 17), (-18, 16, 15, 12), (6, 24, 17, 9)):
        chamber = ct.blob(x + dx * size, y + dy * size, rx * size, ry * size, angle=0.45, wobble=0.12)
        ct.paint(chamber, blood * rng.uniform(0.85, 1.0), 4)
    ct.add("heart", ct.mask(outline))
    return ct.mask(outline)


def _draw_great_vessels(ct: CtSlice) -> BoolArray:
    """Draw the ascending aorta, the superior vena cava and the pulmonary trunk; return their surroundings."""
    rng, blood = ct.rng, ct.blood_hu
    _draw_fat(ct, 85)
    trunk = ct.blob(rng.uniform(14, 20), -30, rng.uniform(13, 17), rng.uniform(10, 13), wobble=0.06)
    cava = ct.blob(-27, -22, *_round(rng, 7, 10), wobble=0.06)
    ascending = ct.blob(rng.uniform(-14, -6), -34, *_round(rng, 14, 19), wobble=0.04)
    for vessel, hu in ((trunk, blood), (cava, blood * 1.1), (ascending, blood)):
        ct.paint(vessel, hu)
    ct.add("aorta", ct.mask(ascending))
    around = ct.blob(rng.uniform(0, 6), rng.uniform(-28, -12), 36, 34, wobble=0.15)
    return ct.mask(around) | ct.mask(trunk) | ct.mask(cava) | ct.mask(ascending)


def _draw_fat(ct: CtSlice, half_height: float) -> None:
    """Fill the middle of the chest with mediastinal fat, mixed with small structures."""
    ct.paint(ct.blob(0, -half_height * 0.2, 40, half_height * 0.75, wobble=0.1), FAT_HU + 40, 8)


def _draw_descending_aorta(ct: CtSlice, half_height: float) -> BoolArray:
    """Draw the aorta beside the spine, and the oesophagus; return their pixels."""
    rng = ct.rng
    aorta = ct.blob(rng.uniform(20, 27), half_height - rng.uniform(40, 45), *_round(rng, 10, 15))
    gullet = ct.blob(rng.uniform(2, 8), half_height - 52, *_round(rng, 5, 8), wobble=0.15)
    ct.paint(gullet, 35, 2)
    ct.paint(aorta, ct.blood_hu)
    ct.hide(ct.mask(aorta))
    ct.add("aorta", ct.mask(aorta))
    return ct.mask(aorta) | ct.mask(gullet)


def _round(rng: np.random.Generator, low: float, high: float) -> tuple[float, float]:
    radius = rng.uniform(low, high)
    return radius, radius * rng.uniform(0.9, 1.05)


def _draw_airway(ct: CtSlice) -> None:
    """Draw the trachea with its wall."""
    rng = ct.rng
    rx, ry = _round(rng, 7.5, 10.5)
    x, y = rng.uniform(-5, 3), rng.uniform(-8, 4)
    wall, lumen = ct.blob(x, y, rx + 2.2, ry + 2.2), ct.blob(x, y, rx, ry)
    ct.paint(wall, 30)
    ct.paint(lumen, -985)
    ct.hide(ct.mask(wall))
    ct.add("trachea", ct.mask(lumen))


def _draw_nodules(ct: CtSlice, lung: BoolArray, vessels: BoolArray, nodule_mm: tuple[float, float]) -> None:
    """Draw one to three nodules, clear of each other and of the larger vessels."""
    rng = ct.rng
    rim_mm = cv2.distanceTransform(lung.astype(np.uint8), cv2.DIST_L2, 5) * ct.spacing_mm
    free_mm = cv2.distanceTransform((~vessels).astype(np.uint8), cv2.DIST_L2, 5) * ct.spacing_mm
    for _ in range(int(rng.integers(1, 4))):
        radius = float(np.exp(rng.uniform(*np.log(nodule_mm)))) / 2
        rows, columns = np.nonzero((rim_mm > radius * rng.uniform(0.75, 1.4) + 1) & (free_mm > 0.9 * radius))
        if len(rows) == 0:
            continue
        pick = int(rng.integers(len(rows)))
        row, column = int(rows[pick]), int(columns[pick])
        _draw_nodule(ct, (column + 0.5, row + 0.5), radius, lung)
        y, x = np.mgrid[: ct.size, : ct.size]
        gap_mm = np.hypot(x - column, y - row) * ct.spacing_mm - radius * 1.4
        free_mm = np.minimum(free_mm, np.maximum(0, gap_mm))


def _draw_nodule(ct: CtSlice, center_px: tuple[float, float], radius_mm: float, lung: BoolArray) -> None:
    """Draw a solid, calcified or ground-glass nodule, some with spicules; the pleura may cut it."""
    rng, scale = ct.rng, 1 / ct.spacing_mm
    wobble = random_harmonics(rng, rng.uniform(0.02, 0.22), (2, 3, 4, 5, 7))
    squeeze = rng.uniform(0.78, 1.0)
    outline = Blob(center_px, (radius_mm * scale, radius_mm * squeeze * scale), rng.uniform(0, np.pi), wobble)
    window, depth = outline.patch(ct.hu.shape)
    inside = coverage(depth, rng.uniform(1.0, 2.4)) * lung[window]
    kind = rng.random()
    ground_glass = kind < 0.15 and radius_mm > 5
    hu = rng.uniform(-560, -380) if ground_glass else rng.uniform(-40, 70)
    if kind > 0.92:
        hu = rng.uniform(200, 500)
    if rng.random() < 0.35 and radius_mm > 4:
        _draw_spicules(ct, center_px, radius_mm, hu, lung)
    blend(ct.hu[window], hu + 18 * smooth_noise(rng, depth.shape, 3), inside)
    ct.add("lung nodule", ct.mask(outline) & lung)


def _draw_spicules(
    ct: CtSlice, center_px: tuple[float, float], radius_mm: float, hu: float, lung: BoolArray
) -> None:
    """Draw thin strands around a nodule; its box excludes them, as radiologists' measurements do."""
    rng, canvas = ct.rng, np.zeros(ct.hu.shape, dtype=np.uint8)
    for _ in range(int(rng.integers(4, 10))):
        heading, reach = rng.uniform(0, 2 * np.pi), radius_mm * rng.uniform(1.1, 1.6) / ct.spacing_mm
        end = (center_px[0] + reach * np.cos(heading), center_px[1] + reach * np.sin(heading))
        fine_line(canvas, center_px, end, 0.9 / ct.spacing_mm)
    blend(ct.hu, hu - 250, blur(canvas / 255.0, 0.6) * lung * 0.7)
