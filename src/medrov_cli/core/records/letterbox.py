"""Transform from source pixels to model pixels, and its inverse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.constants import GRID
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.image_regions import resize

PAD_VALUE = 114
"""Grey value of the border (ultralytics' letterbox)."""


SHORTER_SIDES = 2
"""Number of shorter sides of model inputs. A network is compiled for each size, and takes 60 MB: few sizes
are better. Two hold images of 5:4, 4:3 and 16:9 closely."""


def rectangle_sides(size: int) -> list[int]:
    """Return the sides of model inputs whose longest side is ``size``: about 1, 4/5 and 3/5 of it."""
    step = GRID * max(1, round(size / 5 / GRID))
    return [side for side in range(size, size - SHORTER_SIDES * step - 1, -step) if side > 0]


def rectangle_sizes(size: int) -> list[tuple[int, int]]:
    """Return height and width of all model inputs whose longest side is ``size``."""
    shorter = rectangle_sides(size)[1:]
    return [(size, size), *((side, size) for side in shorter), *((size, side) for side in shorter)]


def rectangle_hw(contents_hw: Iterable[tuple[int, int]], size: int) -> tuple[int, int]:
    """Return height and width of the smallest model input for images of some sizes.

    Parameters
    ----------
    contents_hw
        Height and width of each image, in model pixels, at most ``size``.
    size
        Longest side of a model input, in model pixels.
    """
    sides = rectangle_sides(size)
    height, width = (max(own) for own in zip(*contents_hw, strict=True))
    rows, columns = (min(side for side in sides if side >= least) for least in (height, width))
    return rows, columns


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Placement of an image in the model input with its aspect ratio, centred on grey.

    Attributes
    ----------
    source_hw
        Height and width of the source image, in pixels.
    input_hw
        Height and width of the model input, in model pixels.
    content_hw
        Height and width of the image in it, in model pixels.
    offset_yx
        Model pixels above and left of the image.
    """

    source_hw: tuple[int, int]
    input_hw: tuple[int, int]
    content_hw: tuple[int, int]
    offset_yx: tuple[int, int]

    @classmethod
    def fit(cls, source_hw: tuple[int, int], size: int, *, rectangle: bool = False) -> Letterbox:
        """Return the letterbox of an image of ``source_hw`` pixels.

        Parameters
        ----------
        source_hw
            Height and width of the image, in pixels.
        size
            Longest side of the image in the model input, in model pixels.
        rectangle
            Whether the model input is the smallest one for the image (:func:`rectangle_hw`), not a square.
        """
        scale = size / max(source_hw)
        height, width = (max(1, round(side * scale)) for side in source_hw)
        rows, columns = rectangle_hw([(height, width)], size) if rectangle else (size, size)
        return cls(
            source_hw, (rows, columns), (height, width), ((rows - height) // 2, (columns - width) // 2)
        )

    @property
    def size(self) -> int:
        """Return the longest side of the model input, in model pixels."""
        return max(self.input_hw)

    @property
    def content_share(self) -> float:
        """Return the fraction of the model input that the image covers."""
        height, width = self.content_hw
        return height * width / (self.input_hw[0] * self.input_hw[1])

    def apply(self, image_rgb: UInt8Array) -> UInt8Array:
        """Return the model input, uint8, (*input_hw, 3), of an image, uint8, (h, w, 3)."""
        return self.place(resize(image_rgb, self.content_hw))

    def place(self, content_rgb: UInt8Array) -> UInt8Array:
        """Return the model input, uint8, (*input_hw, 3), of an image that has ``content_hw`` already."""
        whole = np.full((*self.input_hw, 3), PAD_VALUE, dtype=np.uint8)
        height, width = self.content_hw
        top, left = self.offset_yx
        whole[top : top + height, left : left + width] = content_rgb
        return whole

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
