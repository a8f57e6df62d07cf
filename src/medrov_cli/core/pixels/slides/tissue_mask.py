"""Tissue on a bright-field slide: Otsu's threshold on the saturation of a thumbnail."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.frame import Frame
from medrov_cli.core.records.tiling import Box

THUMBNAIL_PX = 2048
"""Longer side of the thumbnail."""

_GLASS_VALUE = 200
"""Lowest brightness (HSV value, 0 to 255) of glass; darker pixels are tissue, dust or ink."""

_MOST_SATURATION = 30
"""Highest threshold of the saturation (0 to 255): pale tissue beside strongly stained tissue is no glass."""


def tissue_mask(frame: Frame, region: Box) -> npt.NDArray[np.bool_]:
    """Return a mask of the tissue in a region, bool, (rows, columns), one pixel wider than the tissue."""
    left, top, right, bottom = region
    scale = min(1.0, THUMBNAIL_PX / max(right - left, bottom - top))
    size_hw = tuple(max(1, round(side * scale)) for side in (bottom - top, right - left))
    thumbnail = frame.read_region(region, (size_hw[0], size_hw[1]))
    hsv = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2HSV)
    saturation = np.ascontiguousarray(hsv[..., 1])
    otsu, _ = cv2.threshold(saturation, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    tissue = (saturation > min(otsu, _MOST_SATURATION)) | (hsv[..., 2] < _GLASS_VALUE)
    return np.asarray(cv2.dilate(tissue.astype(np.uint8), np.ones((3, 3), np.uint8)), dtype=bool)
