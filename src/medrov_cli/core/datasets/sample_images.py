"""Images of samples, decoded and scaled."""

from __future__ import annotations

import cv2
import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.frame import UInt8Array


def load_image(sample: Sample, max_side: int | None = None) -> UInt8Array:
    """Return the image of a sample, uint8, (h, w, 3), RGB.

    Parameters
    ----------
    sample
        Names the file and the size that it must have.
    max_side
        A larger image is shrunk to this, in pixels; null keeps every pixel.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID`` if the file is missing, does not decode, or has another size.
    """
    try:
        image = sample.read_pixels()
    except MedrovError as error:
        raise unreadable_image(sample.path, error) from error
    scale = 1.0 if max_side is None else max_side / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(sample.width * scale)), max(1, round(sample.height * scale)))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image


def unreadable_image(path: str, error: MedrovError) -> MedrovError:
    """Return the error of a dataset with an image that cannot be read."""
    return MedrovError(ErrorCode.DATASET_INVALID, f"{path}: {error.message}", error.hint)
