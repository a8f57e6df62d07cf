"""Protocol of a reader of ``medrov data convert``: its settings, and the units that it lists.

A new format is a file ``readers/<name>.py`` that ends with ``READER: Reader = read``, a row in
``readers/registry.py``, and the name in ``options/converting.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medrov_cli.core.datasets.readers.shared.mask_values import LabelMap
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.choices import Axis

Readers = Literal["keep", "merge"]
"""What becomes of the boxes that several people have drawn."""


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """What a reader may want to know; each takes what concerns it.

    Attributes
    ----------
    path
        The input: a file or a folder.
    images
        Folder of the images, where they are not found beside the input.
    labels
        From mask values to class names.
    components
        Whether each connected part of a mask is an object; else all pixels of a class are one.
    min_area
        Objects with fewer mask pixels are left out.
    axis
        Plane in which volumes are cut.
    every
        Take every n-th slice of a volume or a series, from the first.
    window
        Grey-level window for volumes and DICOM, as ``--window`` has it.
    skip_empty
        Whether images without objects are left out. The conversion does that; a reader need not, but may
        to save work.
    csv
        Table of boxes.
    readers
        Whether boxes that several readers have drawn around one object are kept, or merged into one.
    case
        Finds the case in an image's path below its folder; null: as the format has it.
    source
        What the source is called: names of patients that it has made up itself mean nothing in another one.
    """

    path: Path
    images: Path | None = None
    labels: LabelMap = field(default_factory=LabelMap)
    components: bool = True
    min_area: int = 1
    axis: Axis = "axial"
    every: int = 1
    window: str = "auto"
    skip_empty: bool = False
    csv: Path | None = None
    readers: Readers = "keep"
    case: re.Pattern[str] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One input that is read, and fails, by itself: an image with its boxes, a volume, a series.

    Attributes
    ----------
    path
        Names it in reports; relative to the input, with forward slashes.
    read
        Yields its images, in a fixed order. May run in any thread, and raise a
        `MedrovError` with an input code. Images that came before a failure stay valid.
    """

    path: str
    read: Callable[[], Iterable[AnnotatedImage]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an input holds.

    Attributes
    ----------
    units
        In a fixed order.
    class_names
        Classes that the source names, in its order; those that turn up besides follow sorted.
    """

    units: tuple[Unit, ...]
    class_names: tuple[str, ...] = ()


Reader = Callable[[ReaderConfig], Reading]
"""Lists the units without reading pixels. Raises `MedrovError`: ``NO_INPUT`` or ``DATASET_INVALID`` where
there is nothing to read, ``USAGE`` where an option is missing."""
