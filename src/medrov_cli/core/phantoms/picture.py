"""Shared parts of the 8-bit phantoms: an image under construction, and its exposure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from medrov_cli.core.phantoms.shapes import Blob, BoolArray, Field, PhantomObject, blend, blur, coverage


@dataclass
class Picture:
    """An image under construction, drawn in pixels.

    Attributes
    ----------
    rng
        Random generator of all irregularities.
    image
        float64, (height, width) grey or (height, width, 3) RGB, 0 to 255.
    objects
        Objects with their masks.
    """

    rng: np.random.Generator
    image: Field
    objects: list[PhantomObject] = field(default_factory=list)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Return rows and columns."""
        return self.image.shape[0], self.image.shape[1]

    def paint(
        self,
        blob: Blob,
        value: Field | float | tuple[float, ...],
        softness_px: float = 1.5,
        opacity: float = 1.0,
    ) -> None:
        """Fill an outline with a grey value or a colour, or with a field of the size of the picture."""
        window, depth = blob.patch(self.size_hw, 3.0 + softness_px)
        inside = coverage(depth, softness_px) * opacity
        own = np.asarray(value, dtype=np.float64)
        blend(self.image[window], own[window] if own.ndim >= 2 else own, inside)

    def add(self, class_name: str, mask: BoolArray) -> None:
        """Add an object, if any of its pixels is in the image."""
        if mask.any():
            self.objects.append(PhantomObject(class_name, mask))


def expose(
    rng: np.random.Generator, image: Field, blur_px: float, noise: float, grain_px: float = 0.0
) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB of an image, with the blur of the optics and the noise of the sensor.

    Parameters
    ----------
    rng, image
        See :class:`Picture`.
    blur_px
        Standard deviation of the blur.
    noise
        Standard deviation of the noise, equal in all colours.
    grain_px
        Standard deviation of a blur of the noise; 0 for white noise.
    """
    layers = image[..., None] if image.ndim == 2 else image
    seen = np.dstack([blur(np.ascontiguousarray(layers[..., c]), blur_px) for c in range(layers.shape[2])])
    grain = rng.standard_normal(image.shape[:2])
    if grain_px:
        grain = blur(grain, grain_px)
        grain /= grain.std()
    seen += noise * grain[..., None]
    grey = np.asarray(np.clip(np.rint(seen), 0, 255), np.uint8)
    return np.repeat(grey, 3, axis=2) if grey.shape[2] == 1 else grey
