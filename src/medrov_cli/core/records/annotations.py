"""One annotated image on its way into a dataset, whatever format it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
        As the source has it, before any class map.
    box_xywh
        Left, top, width, height, in pixels of the stored image, origin at the outer corner of the first
        pixel: a mask whose only pixel is the first one has the box (0, 0, 1, 1).
    area
        Square pixels of the object's mask; null where it has none.
    crowd
        Many objects that are not told apart (COCO's ``iscrowd``).
    """

    class_name: str
    box_xywh: tuple[float, float, float, float]
    area: float | None = None
    crowd: bool = False


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
