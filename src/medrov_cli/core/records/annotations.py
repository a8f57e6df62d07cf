"""Annotations of images: boxes of classes, as files of any format state them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.settings.choices import Split

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""uint8, (h, w, 3), RGB, or uint16, (h, w), grey."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One box of a class.

    Attributes
    ----------
    class_name
        Class.
    box_xywh
        Left, top, width, height, in pixels of the stored image, origin at the outer corner of the first
        pixel: a mask whose only pixel is the first one has the box (0, 0, 1, 1).
    area
        Square pixels of the object's mask; null where it has none.
    crowd
        Several objects that are not told apart (COCO's ``iscrowd``).
    annotator
        Who drew the box; empty where the file does not state it.
    record
        The JSON object of the source, where the format has one; not compared.
    """

    class_name: str
    box_xywh: tuple[float, float, float, float]
    area: float | None = None
    crowd: bool = False
    annotator: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def inside(self, height: int, width: int) -> tuple[float, float, float, float] | None:
        """Return the part of the box inside an image, as left, top, width, height; None if there is none.

        A box that lies in the image is returned as it is, to the last digit.
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
    """One image with its boxes; its pixels are read when they are asked for.

    Attributes
    ----------
    name
        Stem of the file that it becomes, unique within its source, the same in each run, without
        anything that names a patient.
    height, width
        Pixels.
    annotations
        May be empty: an image without objects is a negative one.
    read
        Returns the pixels.
    original
        A PNG or JPEG file of 8 bits that holds just these pixels, to be copied byte for byte; null
        where the pixels have to be written anew.
    case
        Patient or volume, hashed by :func:`hashed_case`; null where unknown.
    split
        Where the source says it.
    """

    name: str
    height: int
    width: int
    annotations: tuple[Annotation, ...]
    read: Callable[[], Pixels]
    original: Path | None = None
    case: str | None = None
    split: Split | None = None
