"""Encoding of pixels."""

from __future__ import annotations

import base64

import cv2

from medrov_cli.core.records.frame import UInt8Array


def encode_jpeg(image_rgb: UInt8Array, quality: int) -> bytes:
    """Return an image as a JPEG file.

    Parameters
    ----------
    image_rgb
        uint8, (h, w, 3).
    quality
        JPEG quality, 0 to 100.
    """
    pixels = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_png(image_rgb: UInt8Array) -> bytes:
    """Return an image, uint8, (h, w, 3), as a PNG file."""
    return cv2.imencode(".png", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


def jpeg_uri(image_rgb: UInt8Array, quality: int) -> str:
    """Return an image as a ``data:`` URI of a JPEG; see :func:`encode_jpeg`."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image_rgb, quality)).decode("ascii")
