"""Images of samples, decoded and scaled."""

from __future__ import annotations

import cv2
import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.pixels.stored import stored_pixels
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
        image = read_image(sample)
    except MedrovError as error:
        raise MedrovError(
            ErrorCode.DATASET_INVALID, f"{sample.image_path}: {error.message}", error.hint
        ) from error
    scale = 1.0 if max_side is None else max_side / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(sample.width * scale)), max(1, round(sample.height * scale)))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image


def read_image(sample: Sample) -> UInt8Array:
    """Return the image of a sample, uint8, (h, w, 3), RGB.

    Raises
    ------
    MedrovError
        ``NOT_FOUND``, ``DECODE_FAILED``, ``BAD_METADATA``: another size. The message does not name the file.
    """
    image = stored_pixels(sample.image_path)
    if image is not None and image.shape[:2] == (sample.height, sample.width):
        return image
    if not sample.image_path.is_file():
        code, message = ErrorCode.NOT_FOUND, "There is no such file."
    elif image is None:
        code, message = ErrorCode.DECODE_FAILED, "The file does not decode."
    else:
        has, says = f"{image.shape[1]} x {image.shape[0]}", f"{sample.width} x {sample.height}"
        code, message = ErrorCode.BAD_METADATA, f"It has {has} pixels; annotations.json says {says}."
    raise MedrovError(code, message, "Repair or remove the file and its annotations.")
