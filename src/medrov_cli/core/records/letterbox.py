"""Transform from source pixels to model pixels, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.image_regions import resize

PAD_VALUE = 114
"""Grey value of the border (ultralytics' letterbox)."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Placement of an image in a square with its aspect ratio, centred on grey.

    Attributes
    ----------
    source_hw
        Height and width of the source image, in pixels.
    size
        Side of the square, in model pixels.
    content_hw
        Height and width of the image in the square, in model pixels.
    offset_yx
        Model pixels above and left of the image.
    """

    source_hw: tuple[int, int]
    size: int
    content_hw: tuple[int, int]
    offset_yx: tuple[int, int]

    @classmethod
    def fit(cls, source_hw: tuple[int, int], size: int) -> Letterbox:
        """Return the letterbox of an image of ``source_hw`` pixels in a square of ``size``."""
        scale = size / max(source_hw)
        height, width = (max(1, round(side * scale)) for side in source_hw)
        return cls(source_hw, size, (height, width), ((size - height) // 2, (size - width) // 2))

    @property
    def content_share(self) -> float:
        """Return the fraction of the square that the image covers."""
        height, width = self.content_hw
        return height * width / self.size**2

    def apply(self, image_rgb: UInt8Array) -> UInt8Array:
        """Return the square, uint8, (size, size, 3), of an image, uint8, (h, w, 3)."""
        return self.place(resize(image_rgb, self.content_hw))

    def place(self, content_rgb: UInt8Array) -> UInt8Array:
        """Return the square, uint8, (size, size, 3), of an image that has the size ``content_hw`` already."""
        square = np.full((self.size, self.size, 3), PAD_VALUE, dtype=np.uint8)
        height, width = self.content_hw
        top, left = self.offset_yx
        square[top : top + height, left : left + width] = content_rgb
        return square

    def to_model(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Return boxes in model pixels from boxes in source pixels, (n, 4)."""
        return boxes_xyxy * self._scale_xyxy() + self._offset_xyxy()

    def to_source(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Return boxes in source pixels from boxes in model pixels, (n, 4)."""
        return (boxes_xyxy - self._offset_xyxy()) / self._scale_xyxy()

    def _scale_xyxy(self) -> FloatArray:
        # The axes have different scales, because the content is rounded to whole pixels.
        y, x = (content / source for content, source in zip(self.content_hw, self.source_hw, strict=True))
        return np.array([x, y, x, y])

    def _offset_xyxy(self) -> FloatArray:
        y, x = self.offset_yx
        return np.array([x, y, x, y], dtype=np.float64)
