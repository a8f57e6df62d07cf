"""Density of detections over the thumbnail of a slide."""

from __future__ import annotations

import cv2
import numpy as np

from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import UInt8Array

_SPREAD_SHARE = 1 / 64
"""Standard deviation of the smoothing, as a share of the longer side."""

_MOST_COLOR = 0.6
"""Opacity of the colour at the highest density; where there are no detections the thumbnail shows alone."""


def draw_heat_map(thumbnail_rgb: UInt8Array, detections: Detections) -> UInt8Array:
    """Return a thumbnail with the density of detections in colours, blue (few) to red (most).

    Parameters
    ----------
    thumbnail_rgb
        uint8, (rows, columns, 3).
    detections
        Detections with their frame, in source pixels.
    """
    frame = detections.frame
    if frame is None or not len(detections):
        return thumbnail_rgb.copy()
    rows, columns = thumbnail_rgb.shape[:2]
    centers = (detections.boxes_xyxy[:, :2] + detections.boxes_xyxy[:, 2:]) / 2
    places = (centers * (columns / frame.width, rows / frame.height)).astype(np.int64)
    density = np.zeros((rows, columns), dtype=np.float32)
    np.add.at(density, (places[:, 1].clip(0, rows - 1), places[:, 0].clip(0, columns - 1)), 1)
    density = np.asarray(cv2.GaussianBlur(density, (0, 0), max(rows, columns) * _SPREAD_SHARE))
    share = density / max(float(density.max()), 1e-12)
    colors = cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    opacity = (_MOST_COLOR * np.sqrt(share))[..., None]
    return np.asarray(np.rint(thumbnail_rgb * (1 - opacity) + colors * opacity), dtype=np.uint8)
