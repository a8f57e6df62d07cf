"""Shared records and drawing primitives of the phantoms.

All fields are float64, so that differences of CPUs in the last bit do not change the 8- or 16-bit result:
equal seeds give equal pixels on all machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from medrov_cli.core.settings.choices import Modality

BoolArray = npt.NDArray[np.bool_]
Field = npt.NDArray[np.float64]
BoxXyxy = tuple[int, int, int, int]

# 5 x 7 glyphs, one string of five bits per row.
_GLYPHS = {
    "S": ("01111", "10000", "10000", "01110", "00001", "00001", "11110"),
    "Y": ("10001", "10001", "01010", "00100", "00100", "00100", "00100"),
    "N": ("10001", "11001", "10101", "10101", "10011", "10001", "10001"),
    "T": ("11111", "00100", "00100", "00100", "00100", "00100", "00100"),
    "H": ("10001", "10001", "10001", "11111", "10001", "10001", "10001"),
    "E": ("11111", "10000", "10000", "11110", "10000", "10000", "11111"),
    "I": ("01110", "00100", "00100", "00100", "00100", "00100", "01110"),
    "C": ("01110", "10001", "10000", "10000", "10000", "10001", "01110"),
}
MARK = "SYNTHETIC"
"""Text burned into the top-left corner of every phantom."""


@dataclass(frozen=True, slots=True)
class PhantomObject:
    """One drawn object.

    Attributes
    ----------
    class_name
        Its class, spelled as in the datasets that it is used with.
    mask
        bool, of the shape of the image (or of the volume): the pixels of the object, including those
        below a transparent neighbour.
    """

    class_name: str
    mask: BoolArray

    @property
    def box_xyxy(self) -> BoxXyxy:
        """Return the bounding box of a 2-D mask: right and bottom are the last pixel plus one."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        columns = np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True, slots=True)
class Phantom:
    """One synthetic image.

    Attributes
    ----------
    pixels
        uint8 (height, width, 3) RGB, or int16 (height, width) in HU for CT.
    objects
        Objects with exact masks.
    modality
        Modality that the image imitates.
    pixel_spacing_mm
        (row spacing, column spacing); null if the modality has none.
    """

    pixels: npt.NDArray[Any]
    objects: tuple[PhantomObject, ...]
    modality: Modality
    pixel_spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """A star-shaped outline: an ellipse whose radius is modulated by a few harmonics.

    Attributes
    ----------
    center_xy, radii_xy
        Centre and radii in pixels.
    angle
        Rotation in radians, from x towards y.
    harmonics
        (order, relative amplitude, phase) of each modulation.
    exponent
        2 for an ellipse; more for a rounder rectangle.
    """

    center_xy: tuple[float, float]
    radii_xy: tuple[float, float]
    angle: float = 0.0
    harmonics: tuple[tuple[int, float, float], ...] = ()
    exponent: float = 2.0

    def depth(self, x: Field, y: Field) -> Field:
        """Return the depth of points inside the outline, in pixels; negative outside."""
        dx, dy = x - self.center_xy[0], y - self.center_xy[1]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u = (cos * dx + sin * dy) / self.radii_xy[0]
        v = (cos * dy - sin * dx) / self.radii_xy[1]
        if self.exponent == 2.0:
            rho = np.sqrt(u * u + v * v)
        else:
            rho = (np.abs(u) ** self.exponent + np.abs(v) ** self.exponent) ** (1 / self.exponent)
        if self.harmonics:
            theta = np.arctan2(v, u)
            rho = rho / (1 + sum(a * np.cos(k * theta + p) for k, a, p in self.harmonics))
        depth: Field = (1 - rho) * min(self.radii_xy)
        return depth

    def patch(self, size_hw: tuple[int, int], margin: float = 3.0) -> tuple[tuple[slice, slice], Field]:
        """Return the part of an image around the blob, and the depth in it.

        Returns
        -------
        window, depth
            Row and column slices (possibly empty), and float64 depth in pixels.
        """
        reach = max(self.radii_xy) * (1 + sum(abs(a) for _, a, _ in self.harmonics)) + margin
        (cx, cy), (height, width) = self.center_xy, size_hw
        rows = slice(*(int(np.clip(edge, 0, height)) for edge in (cy - reach, cy + reach + 1)))
        columns = slice(*(int(np.clip(edge, 0, width)) for edge in (cx - reach, cx + reach + 1)))
        y, x = np.mgrid[rows, columns] + 0.5
        return (rows, columns), self.depth(x, y)

    def mask(self, size_hw: tuple[int, int]) -> BoolArray:
        """Return the pixels with their centre inside the outline."""
        mask = np.zeros(size_hw, dtype=np.bool_)
        window, depth = self.patch(size_hw)
        mask[window] = depth >= 0
        return mask


def generator(kind: str, seed: int) -> np.random.Generator:
    """Return the random stream of one phantom; different kinds never share a stream."""
    return np.random.Generator(np.random.PCG64([*kind.encode(), seed]))


def random_harmonics(
    rng: np.random.Generator, amplitude: float, orders: Sequence[int] = (2, 3, 4, 5)
) -> tuple[tuple[int, float, float], ...]:
    """Draw a smooth irregularity whose amplitude falls with the order."""
    return tuple(
        (k, float(rng.uniform(-1, 1)) * amplitude / (k - 1), float(rng.uniform(0, 2 * np.pi))) for k in orders
    )


def smooth_noise(rng: np.random.Generator, size_hw: tuple[int, int], scale_px: float) -> Field:
    """Draw noise of zero mean and unit deviation whose structures are about ``scale_px`` wide."""
    height, width = size_hw
    coarse = (max(2, round(height / scale_px) + 1), max(2, round(width / scale_px) + 1))
    field = cv2.resize(rng.standard_normal(coarse), (width, height), interpolation=cv2.INTER_CUBIC)
    result: Field = (field - field.mean()) / (field.std() + 1e-12)
    return result


def coverage(depth: Field, softness_px: float) -> Field:
    """Convert a depth to an opacity that is 0.5 on the outline and smooth around it."""
    result: Field = np.clip(depth / softness_px + 0.5, 0.0, 1.0)
    return result


def blend(image: Field, value: Field | float | Sequence[float], opacity: Field) -> None:
    """Blend ``value`` into ``image`` in place, with ``opacity`` (height, width) from 0 to 1."""
    weight = opacity if image.ndim == 2 else opacity[..., None]
    image += (np.asarray(value, dtype=np.float64) - image) * weight


def blur(field: Field, sigma_px: float) -> Field:
    """Return the Gaussian blur of a field."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT), np.float64)


def line(
    canvas: npt.NDArray[np.uint8],
    start_xy: tuple[float, float],
    end_xy: tuple[float, float],
    width_px: float,
    strength: float,
) -> None:
    """Draw a line on an opacity canvas (255 is opaque), in place; points are pixels."""
    ends = [(int(x * 16), int(y * 16)) for x, y in (start_xy, end_xy)]
    cv2.line(canvas, ends[0], ends[1], int(min(255.0, strength)), max(1, round(width_px)), cv2.LINE_AA, 4)


def burn_mark(pixels: npt.NDArray[Any], value: int) -> None:
    """Write the word SYNTHETIC into the top-left corner, in place."""
    rows = ["0".join(_GLYPHS[letter][row] for letter in MARK) for row in range(7)]
    word = np.array([[bit == "1" for bit in row] for row in rows])
    scale = max(1, pixels.shape[1] // 320)
    word = word.repeat(scale, axis=0).repeat(scale, axis=1)
    margin = 3 * scale
    pixels[margin : margin + word.shape[0], margin : margin + word.shape[1]][word] = value
