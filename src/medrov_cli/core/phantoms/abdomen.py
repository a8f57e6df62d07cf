"""CT phantoms of the upper abdomen, as a slice or a volume: liver, kidneys, spleen, bowel, vessels, spine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.ct import (
    AIR_HU,
    FAT_HU,
    MUSCLE_HU,
    CtSlice,
    acquire,
    draw_ribs,
    draw_spine,
    draw_table,
    draw_wall,
)
from medrov_cli.core.phantoms.organs import Body, Organ, imagine_body
from medrov_cli.core.phantoms.shapes import (
    Blob,
    Phantom,
    PhantomObject,
    blend,
    blur,
    burn_mark,
    generator,
    smooth_noise,
)
from medrov_cli.core.settings.choices import Modality

_LOWEST_MM, _HIGHEST_MM = -70.0, 62.0
_LOWEST_RIB_MM = -45.0
_VOLUME_STEP_HU = 4  # step of rounding, below the noise of the voxels: a volume compresses four times better

_Stream = Callable[[str], np.random.Generator]


@dataclass(frozen=True, slots=True)
class PhantomVolume:
    """One synthetic CT volume.

    Attributes
    ----------
    voxels_hu
        int16 (slices, rows, columns): slices from the feet to the head, rows from front to
        back, columns from the patient's right to the patient's left.
    slices
        The objects of every slice, as ``PhantomObject`` with 2-D masks.
    spacing_mm
        Distance between slices, rows and columns.
    """

    voxels_hu: npt.NDArray[np.int16]
    slices: tuple[tuple[PhantomObject, ...], ...]
    spacing_mm: tuple[float, float, float]


def abdomen_ct(seed: int, *, size: int = 512) -> Phantom:
    """Draw one axial slice of the upper abdomen.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same slice.
    size
        Rows and columns; the field of view is about 380 mm for all sizes.

    Returns
    -------
    Phantom
        int16 HU (size, size), radiological convention. Objects, where the level shows them:
        liver, left kidney, right kidney, aorta, vertebra.
    """
    rng = generator("abdomen_ct", seed)
    spacing = 380.0 / size * rng.uniform(0.95, 1.12)
    level = rng.uniform(_LOWEST_MM, _HIGHEST_MM)
    ct = _draw_level(imagine_body(seed), lambda _: rng, level, size, spacing)
    pixels = acquire(rng, ct.hu)
    burn_mark(pixels, 1000)
    return Phantom(pixels, tuple(ct.objects), Modality.CT, (spacing, spacing))


def abdomen_volume(seed: int, *, slices: int = 24, size: int = 128) -> PhantomVolume:
    """Draw a CT volume of the upper abdomen.

    Parameters
    ----------
    seed
        Not negative; the same seed gives the same volume.
    slices, size
        Number of slices (at least 2), and rows and columns of each.

    Returns
    -------
    PhantomVolume
        Covering about 130 mm from below the kidneys to the upper liver; the air around the
        body is exactly -1000 HU.
    """
    body = imagine_body(seed)
    rng = generator("abdomen_volume", seed)
    spacing = 390.0 / size
    voxels, objects = np.empty((slices, size, size), dtype=np.int16), []
    for index, level in enumerate(np.linspace(_LOWEST_MM, _HIGHEST_MM, slices)):
        # Each part has its own random stream, restarted at every level, so that its position is constant.
        ct = _draw_level(body, lambda part: generator(part, seed), float(level), size, spacing)
        slice_hu = acquire(rng, ct.hu, (3.0, 6.0))
        slice_hu[ct.hu == AIR_HU] = AIR_HU
        voxels[index] = slice_hu // _VOLUME_STEP_HU * _VOLUME_STEP_HU
        burn_mark(voxels[index], 1000)
        objects.append(tuple(ct.objects))
    step = (_HIGHEST_MM - _LOWEST_MM) / (slices - 1)
    return PhantomVolume(voxels, tuple(objects), (step, spacing, spacing))


def _draw_level(body: Body, stream: _Stream, z: float, size: int, spacing: float) -> CtSlice:
    """Draw one axial level of a patient, each part from the random stream of its name."""
    rng = stream("place")
    center = (size * (0.5 + rng.uniform(-0.015, 0.015)), size * (0.48 + rng.uniform(-0.02, 0.02)))
    ct = CtSlice(rng, size, spacing, center, np.full((size, size), float(AIR_HU)), body.blood_hu)
    draw_table(ct, body.half_height)
    ct.rng = stream("wall")
    draw_wall(ct, body.half_width, body.half_height)
    ct.paint(ct.blob(0, 0, body.half_width + 4, body.half_height + 4, exponent=2.2), FAT_HU, 3)
    if z > _LOWEST_RIB_MM:
        ct.rng = stream("ribs")
        draw_ribs(ct, body.half_width + 4, body.half_height + 4, -0.1 - 0.006 * z, 3)
    _draw_bowel(ct, body, z)
    ct.rng = stream("psoas")
    for side in (-1, 1):
        ct.paint(ct.blob(side * 30, body.half_height - 22, 15, 19, wobble=0.08), MUSCLE_HU, 2)
    ct.rng = stream("organs")
    _draw_organs(ct, body, z)
    ct.rng = stream("spine")
    draw_spine(ct, body.half_height)
    _draw_vessels(ct, body)
    return ct


def _draw_vessels(ct: CtSlice, body: Body) -> None:
    """Draw the aorta and the inferior vena cava before the spine."""
    rng = ct.rng
    sections = ((rng.uniform(6, 14), rng.uniform(9, 12), "aorta"), (-18, rng.uniform(9, 13), None))
    for x, radius, name in sections:
        vessel = ct.blob(x, body.half_height - rng.uniform(42, 46), radius, radius * rng.uniform(0.8, 1.0))
        ct.paint(vessel, body.blood_hu)
        ct.hide(ct.mask(vessel))
        if name is not None:
            ct.add(name, ct.mask(vessel))


def _draw_bowel(ct: CtSlice, body: Body, z: float) -> None:
    """Draw loops with a wall around fluid or gas; their positions change along the body."""
    rng = generator(f"bowel {round(z)}", body.seed)
    for _ in range(int(rng.integers(9, 18))):
        x, y = rng.uniform(-85, 85), rng.uniform(-62, 18)
        rx, ry, angle = rng.uniform(8, 19), rng.uniform(7, 13), rng.uniform(0, np.pi)
        ct.paint(ct.blob(x, y, rx, ry, angle=angle), rng.uniform(35, 75))
        content = -880.0 if rng.random() < 0.25 else rng.uniform(0, 40)
        ct.paint(ct.blob(x, y, rx - 3.5, ry - 3.5, angle=angle), content, 2)


def _draw_organs(ct: CtSlice, body: Body, z: float) -> None:
    """Draw the section of every organ; parts of one organ share a mask, later organs cover earlier ones."""
    inside = ct.mask(ct.blob(0, 0, body.half_width, body.half_height, exponent=2.2))
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    for organ in body.organs:
        blob = organ.section(z, ct)
        if blob is None:
            continue
        mask = ct.mask(blob) & inside
        if organ.name is not None and organ.name.endswith("kidney"):
            mask &= ~_sinus(ct, organ, blob)
        texture = organ.hu + 5 * smooth_noise(ct.rng, mask.shape, 8 / ct.spacing_mm)
        blend(ct.hu, texture, np.clip(blur(mask.astype(np.float64), 0.7), 0, 1))
        for name in masks:
            masks[name] &= ~mask if name != organ.name else True
        if organ.name is not None:
            masks[organ.name] = masks.get(organ.name, np.zeros_like(mask)) | mask
    for name, mask in masks.items():
        ct.add(name, mask)


def _sinus(ct: CtSlice, organ: Organ, blob: Blob) -> npt.NDArray[np.bool_]:
    """Return the fatty notch of a kidney, which opens towards the spine in its middle third."""
    side = 1 if organ.name == "left kidney" else -1
    reach = min(blob.radii_xy) / (organ.radii_xyz[0] / ct.spacing_mm)
    if reach < 0.85:
        return np.zeros(ct.hu.shape, dtype=np.bool_)
    x, y = blob.center_xy
    notch = Blob(
        (x - side * 0.6 * blob.radii_xy[0], y - 0.1 * blob.radii_xy[1]),
        (0.5 * blob.radii_xy[0], 0.24 * blob.radii_xy[1]),
    )
    return notch.mask(ct.hu.shape)
