"""Parts of images: their reader, and scaling."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

_UInt8Array = npt.NDArray[np.uint8]


HALVED_FROM = 4
"""Ratio of sides from which :func:`resize_by_halves` halves an image first."""


class RegionReader(Protocol):
    """Reader of parts of an image that is not decoded whole; may be used by several threads."""

    @property
    def has_glass(self) -> bool:
        """Return whether the image is a bright-field slide, on which tissue lies on glass."""

    def read(self, box_xyxy: tuple[int, int, int, int], size_hw: tuple[int, int]) -> _UInt8Array:
        """Return a part of the image, scaled to a size, uint8, (height, width, 3).

        Parameters
        ----------
        box_xyxy
            Inside the image, in source pixels.
        size_hw
            Height and width of the result, in pixels.

        Raises
        ------
        MedrovError
            An input code.
        """


def resize(image_rgb: _UInt8Array, size_hw: tuple[int, int], *, is_grey: bool = False) -> _UInt8Array:
    """Return an image, uint8, (height, width, 3), in another size: by area means if it becomes smaller.

    Of an image with three equal channels (``is_grey``) one is scaled, with the same result.
    """
    height, width = size_hw
    if (height, width) == image_rgb.shape[:2]:
        return image_rgb
    shrinks = height < image_rgb.shape[0] or width < image_rgb.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if is_grey and shrinks:
        channel = cv2.resize(cv2.extractChannel(image_rgb, 0), (width, height), interpolation=how)
        return np.asarray(cv2.cvtColor(channel, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return np.asarray(cv2.resize(image_rgb, (width, height), interpolation=how), dtype=np.uint8)


def resize_by_halves(
    image_rgb: _UInt8Array, size_hw: tuple[int, int], *, is_grey: bool = False
) -> _UInt8Array:
    """Return an image as :func:`resize`; one that becomes much smaller is halved first.

    OpenCV computes means of 2 x 2 pixels several times as fast as others. The result differs by rounding, and
    by less than a pixel at the edges of an image of odd sides.
    """
    height, width = image_rgb.shape[:2]
    if min(height / size_hw[0], width / size_hw[1]) < HALVED_FROM:
        return resize(image_rgb, size_hw, is_grey=is_grey)
    half = (height // 2, width // 2)
    halved = resize(image_rgb[: 2 * half[0], : 2 * half[1]], half, is_grey=is_grey)
    return resize(halved, size_hw, is_grey=is_grey)
