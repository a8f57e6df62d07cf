"""Annotations of images: boxes with class names, in the form of the file formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.volume_slice import VolumeSlice
from medrov_cli.core.settings.choices import Split

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""uint8, (h, w, 3), RGB, or uint16, (h, w), grey."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Annotated box of a class.

    Attributes
    ----------
    class_name
        Class.
    box_xywh
        Left, top, width, height, in pixels of the stored image, origin at the outer corner of the first
        pixel: a mask whose only pixel is the first one has the box (0, 0, 1, 1).
    area
        Area of the object's mask in square pixels; null without a mask.
    crowd
        Whether the box contains several objects that are not separated (COCO's ``iscrowd``).
    annotator
        Person who drew the box; empty if the file does not state it.
    record
        JSON object of the source, if the format has one; not compared.
    object_number
        Number of the object in a volume of labels, unique within its class, equal on all slices; null if
        unknown.
    """

    class_name: str
    box_xywh: tuple[float, float, float, float]
    area: float | None = None
    crowd: bool = False
    annotator: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    object_number: int | None = None

    def inside(self, height: int, width: int) -> tuple[float, float, float, float] | None:
        """Return the part of the box inside an image, as left, top, width, height; None if there is none.

        A box inside the image is returned unchanged.
        """
        x, y, w, h = self.box_xywh
        left, top = min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))
        right, bottom = min(max(x + w, 0.0), float(width)), min(max(y + h, 0.0), float(height))
        if not (right > left and bottom > top):
            return None
        is_whole = (left, top, right, bottom) == (x, y, x + w, y + h)
        return self.box_xywh if is_whole else (left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """Image with its boxes; the pixels are read on request.

    Attributes
    ----------
    name
        Stem of the written file, unique within its source, equal in all runs, without data of the patient.
    height, width
        Pixels.
    annotations
        Boxes of the image; empty for a negative image.
    read
        Function that returns the pixels.
    original
        PNG or JPEG file of 8 bits with exactly these pixels, which is copied; null if the pixels have to be
        encoded.
    case
        Patient or volume, hashed by :func:`hashed_case`; null if unknown.
    split
        Split in the source; null if the source has none.
    warnings
        Sentences for the user about this image's annotations.
    mpp
        Micrometres per pixel; null if they are unknown.
    volume
        Slice of a volume that the image is; null if it is none.
    """

    name: str
    height: int
    width: int
    annotations: tuple[Annotation, ...]
    read: Callable[[], Pixels]
    original: Path | None = None
    case: str | None = None
    split: Split | None = None
    warnings: tuple[str, ...] = ()
    mpp: float | None = None
    volume: VolumeSlice | None = None
