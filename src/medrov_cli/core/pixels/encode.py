"""Encoding of pixels."""

from __future__ import annotations

import base64

import cv2

from medrov_cli.core.records.frame import UInt8Array


def jpeg_uri(image_rgb: UInt8Array, quality: int) -> str:
    """Return an image as a ``data:`` URI.

    Parameters
    ----------
    image_rgb
        uint8, (h, w, 3).
    quality
        JPEG quality, 0 to 100.
    """
    pixels = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")
