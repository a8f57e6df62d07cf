"""Shared parts of the CT phantoms: a slice under construction in HU, and the parts of the trunk."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.shapes import (
    Blob,
    BoolArray,
    Field,
    PhantomObject,
    blend,
    blur,
    coverage,
    random_harmonics,
)

AIR_HU, FAT_HU, MUSCLE_HU, BLOOD_HU, MARROW_HU, CORTEX_HU = -1000, -100, 55, 42, 190, 750
"""Mean HU of tissues without contrast medium: textbook values, rounded."""


@dataclass
class CtSlice:
    """A slice under construction, in mm from the middle of the trunk: x to the patient's left, y posterior.

    Attributes
    ----------
    rng
        Random generator of all irregularities.
    size
        Rows and columns.
    spacing_mm
        Distance between rows, and between columns.
    center_px
        (x, y) of the middle of the trunk.
    hu
        The pixels in HU.
    blood_hu
        HU of large vessels; depends on the contrast medium.
    objects
        Objects with their masks, without pixels that later parts cover.
    """

    rng: np.random.Generator
    size: int
    spacing_mm: float
    center_px: tuple[float, float]
    hu: Field
    blood_hu: float
    objects: list[PhantomObject] = field(default_factory=list)

    def blob(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        *,
        angle: float = 0.0,
        wobble: float = 0.0,
        exponent: float = 2.0,
    ) -> Blob:
        """Return an outline in pixels from measures in mm."""
        scale = 1 / self.spacing_mm
        harmonics = random_harmonics(self.rng, wobble) if wobble else ()
        center = (self.center_px[0] + x * scale, self.center_px[1] + y * scale)
        return Blob(center, (rx * scale, ry * scale), angle, harmonics, exponent)

    def paint(self, blob: Blob, hu: float, softness_px: float = 1.2) -> None:
        """Fill an outline with a value."""
        window, depth = blob.patch((self.size, self.size))
        blend(self.hu[window], hu, coverage(depth, softness_px))

    def paint_bone(self, blob: Blob, cortex_mm: float) -> None:
        """Fill an outline with marrow inside a bright cortex."""
        window, depth = blob.patch((self.size, self.size))
        blend(self.hu[window], CORTEX_HU * self.rng.uniform(0.7, 1.1), coverage(depth, 1.2))
        inner = coverage(depth - cortex_mm / self.spacing_mm, 1.5)
        blend(self.hu[window], MARROW_HU * self.rng.uniform(0.8, 1.4), inner)

    def hide(self, mask: BoolArray) -> None:
        """Remove covered pixels from the masks of the objects below."""
        kept = (PhantomObject(o.class_name, o.mask & ~mask) for o in self.objects)
        self.objects = [drawn for drawn in kept if drawn.mask.any()]

    def add(self, class_name: str, mask: BoolArray) -> None:
        """Add an object, if any of its pixels is in the image."""
        if mask.any():
            self.objects.append(PhantomObject(class_name, mask))

    def mask(self, blob: Blob) -> BoolArray:
        """Return the pixels inside an outline."""
        return blob.mask((self.size, self.size))


def acquire(
    rng: np.random.Generator, hu: Field, noise_hu: tuple[float, float] = (8.0, 30.0)
) -> npt.NDArray[np.int16]:
    """Return int16 HU with the point spread and the correlated noise of a scanner."""
    noise = blur(rng.standard_normal(hu.shape), rng.uniform(0.6, 1.1))
    noise *= rng.uniform(*noise_hu) / noise.std()
    return np.clip(np.rint(blur(hu, rng.uniform(0.5, 0.8)) + noise), -1024, 3071).astype(np.int16)


def draw_table(ct: CtSlice, half_height: float) -> None:
    """Draw the curved couch below the patient."""
    top, radius = half_height + ct.rng.uniform(42, 52), ct.rng.uniform(300, 600)
    for offset, hu in ((19.5, 20.0), (18.0, -850.0), (1.8, 90.0), (0.0, float(AIR_HU))):
        ct.paint(ct.blob(0, top + offset - radius, radius, radius), hu)


def draw_wall(ct: CtSlice, half_width: float, half_height: float) -> None:
    """Draw skin, fat, and the muscles around the trunk's cavity."""
    rng, background = ct.rng, ct.hu.copy()
    fat = rng.uniform(6, 22)
    body = ct.blob(0, 2, half_width + 26 + fat, half_height + 22 + fat * 0.7, exponent=2.35, wobble=0.015)
    window, depth = body.patch(ct.hu.shape)
    ct.hu[window] = FAT_HU
    ct.paint(ct.blob(0, 3, half_width + 17, half_height + 15, exponent=2.3, wobble=0.02), MUSCLE_HU, 4)
    for side in (-1, 1):
        front = ct.blob(side * 62, -half_height - 8, 52, 8, angle=side * 0.25, wobble=0.1)
        back = ct.blob(side * 32, half_height + 13, 26, 14, angle=-side * 0.1, wobble=0.1)
        flank = ct.blob(side * (half_width + 12), 30, 10, 42, angle=side * 0.1, wobble=0.1)
        for muscle in (front, back, flank):
            ct.paint(muscle, MUSCLE_HU, 4)
    skin = coverage(2 / ct.spacing_mm - depth, 1.5)
    blend(ct.hu[window], 20, skin)
    blend(ct.hu[window], background[window], 1 - coverage(depth, 1.5))


def draw_ribs(ct: CtSlice, half_width: float, half_height: float, start: float, count: int) -> None:
    """Draw ``count`` rib sections on each side, from the angle ``start`` (0 is lateral) to the back."""
    rng = ct.rng
    for side in (-1, 1):
        first = start + rng.uniform(-0.1, 0.1)
        for step in range(count):
            theta = first + step * rng.uniform(0.36, 0.44)
            x = side * (half_width + 7) * np.abs(np.cos(theta)) ** 0.9
            y = (half_height + 6) * np.sign(np.sin(theta)) * np.abs(np.sin(theta)) ** 0.9
            slope = np.arctan2(half_height * np.cos(theta), -side * half_width * np.sin(theta))
            rib = ct.blob(x, y, rng.uniform(8, 19), rng.uniform(3.2, 4.6), angle=slope)
            ct.paint_bone(rib, 1.4)


def draw_spine(ct: CtSlice, half_height: float) -> None:
    """Draw one vertebra: body, arch around the canal, transverse and spinous processes."""
    rng = ct.rng
    top = half_height - rng.uniform(14, 20)
    body = ct.blob(0, top, rng.uniform(16, 19), rng.uniform(13, 16), exponent=2.5, wobble=0.04)
    canal = ct.blob(0, top + 23, 9.5, 8)
    arch = ct.blob(0, top + 24, 15, 13)
    spinous = ct.blob(rng.uniform(-1, 1), top + 43, 3.6, 14, angle=rng.uniform(-0.06, 0.06))
    processes = [ct.blob(s * 25, top + 24, 16, 4.5, angle=s * rng.uniform(-0.2, 0.35)) for s in (-1, 1)]
    bones = [*processes, spinous, arch, body]
    mask = np.zeros(ct.hu.shape, dtype=np.bool_)
    for bone in bones:
        ct.paint_bone(bone, 1.6)
        mask |= ct.mask(bone)
    ct.paint(canal, 25)
    ct.hide(mask)
    ct.add("vertebra", mask & ~ct.mask(canal))
