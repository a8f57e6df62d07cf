"""The one object that knows the way from source pixels to model pixels and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.frame import UInt8Array

PAD_VALUE = 114
"""Grey of the border (ultralytics' letterbox)."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Fit an image into a square without changing its aspect, centred on grey.

    Attributes
    ----------
    source_hw
        Height and width of the source image, in pixels.
    size
        Side of the square, in model pixels.
    content_hw
        Height and width that the image takes in the square.
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

    def apply(self, image_rgb: UInt8Array) -> UInt8Array:
        """Return the square, uint8, (size, size, 3), of an image, uint8, (h, w, 3)."""
        height, width = self.content_hw
        shrinks = height < image_rgb.shape[0] or width < image_rgb.shape[1]
        content = image_rgb
        if (height, width) != image_rgb.shape[:2]:
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            content = np.asarray(cv2.resize(image_rgb, (width, height), interpolation=how), dtype=np.uint8)
        square = np.full((self.size, self.size, 3), PAD_VALUE, dtype=np.uint8)
        top, left = self.offset_yx
        square[top : top + height, left : left + width] = content
        return square

    def to_model(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Return boxes in model pixels from boxes in source pixels, (n, 4)."""
        return boxes_xyxy * self._scale_xyxy() + self._offset_xyxy()

    def to_source(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Return boxes in source pixels from boxes in model pixels, (n, 4)."""
        return (boxes_xyxy - self._offset_xyxy()) / self._scale_xyxy()

    def _scale_xyxy(self) -> FloatArray:
        # Each axis has its own scale: rounding the content to whole pixels changes both a little.
        y, x = (content / source for content, source in zip(self.content_hw, self.source_hw, strict=True))
        return np.array([x, y, x, y])

    def _offset_xyxy(self) -> FloatArray:
        y, x = self.offset_yx
        return np.array([x, y, x, y], dtype=np.float64)
