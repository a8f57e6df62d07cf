"""Statistics of a dataset: images, boxes and their sizes, by source, class and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.curation.split import case_key
from medrov_cli.core.datasets.box_table import box_table
from medrov_cli.core.datasets.source_set import UNSPLIT, OpenSource, SourceSet, split_of
from medrov_cli.core.datasets.sources import licence_of
from medrov_cli.core.records.boxes import box_areas
from medrov_cli.core.settings.choices import SPLITS

SCHEMA = "medrov.data.stats/1"

PLACES: tuple[str, ...] = (*SPLITS, UNSPLIT)
"""Splits, and the key for images without one."""


@dataclass(frozen=True, slots=True)
class ClassStats:
    """Statistics of one class in one source.

    Attributes
    ----------
    images, boxes
        Numbers of images with the class, and of boxes, by split.
    side_px
        Smallest, median and largest side of its boxes: the square root of the area inside the image, in
        pixels of the stored image; null without boxes.
    share
        Median share of the image's area that a box covers, 0 to 1; null without boxes.
    """

    name: str
    images: Mapping[str, int]
    boxes: Mapping[str, int]
    side_px: tuple[float, float, float] | None
    share: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the element of ``classes`` of a JSON document."""
        low, middle, high = self.side_px or (None, None, None)
        return {
            "class": self.name,
            "images": dict(self.images),
            "boxes": dict(self.boxes),
            "side_px": {"min": low, "median": middle, "max": high},
            "median_share_of_image": self.share,
        }


@dataclass(frozen=True, slots=True)
class SourceStats:
    """Statistics of one source.

    Attributes
    ----------
    images, cases
        Numbers by split; an image of an unknown patient counts as a case.
    empty
        Number of images without a box.
    size_px
        Smallest and largest side of its images, in pixels.
    """

    name: str
    modality: str
    licence: str
    images: Mapping[str, int]
    cases: Mapping[str, int]
    empty: int
    size_px: tuple[int, int]
    classes: tuple[ClassStats, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the element of ``sources`` of a JSON document."""
        return {
            "name": self.name,
            "modality": self.modality,
            "licence": self.licence,
            "images": dict(self.images),
            "cases": dict(self.cases),
            "images_without_boxes": self.empty,
            "image_side_px": {"min": self.size_px[0], "max": self.size_px[1]},
            "classes": [own.as_dict() for own in self.classes],
        }


@dataclass(frozen=True, slots=True)
class DatasetStats:
    """Statistics of a dataset."""

    name: str
    sources: tuple[SourceStats, ...]

    @property
    def images(self) -> int:
        """Return the number of images."""
        return sum(sum(own.images.values()) for own in self.sources)

    @property
    def boxes(self) -> int:
        """Return the number of boxes."""
        return sum(sum(c.boxes.values()) for own in self.sources for c in own.classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return all class names in order of first use."""
        return tuple(dict.fromkeys(c.name for own in self.sources for c in own.classes))

    def as_dict(self) -> dict[str, Any]:
        """Return the document of schema ``medrov.data.stats/1``."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "images": self.images,
            "boxes": self.boxes,
            "classes": len(self.classes),
            "sources": [own.as_dict() for own in self.sources],
        }


def stats_of(opened: SourceSet) -> DatasetStats:
    """Return the statistics of opened sources."""
    return DatasetStats(opened.name, tuple(_source_stats(source) for source in opened.sources))


def _source_stats(source: OpenSource) -> SourceStats:
    boxes = box_table(source)
    size = np.asarray([(i.height, i.width) for i in source.images], dtype=np.float64).reshape(-1, 2)
    place = np.asarray([PLACES.index(split_of(image)) for image in source.images], dtype=np.int64)
    height, width = size[boxes.image].T
    inside = np.clip(boxes.xyxy, 0, np.stack((width, height, width, height), axis=1))
    areas = np.asarray(box_areas(inside), dtype=np.float64)
    shares = areas / (height * width)
    cases = Counter(split for _, split in {(case_key(i), split_of(i)) for i in source.images})
    return SourceStats(
        name=source.name,
        modality=source.modality.value,
        licence=licence_of(source.document),
        images=_by_place(place),
        cases={name: cases[name] for name in PLACES},
        empty=len(size) - len(np.unique(boxes.image)),
        size_px=(int(size.min()), int(size.max())) if len(size) else (0, 0),
        classes=tuple(
            _class_stats(name, boxes.label == row, boxes.image, place, areas, shares)
            for row, name in enumerate(source.classes)
        ),
    )


def _class_stats(
    name: str,
    mine: npt.NDArray[np.bool_],
    image: npt.NDArray[np.int64],
    place: npt.NDArray[np.int64],
    areas: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
) -> ClassStats:
    sides = np.sqrt(areas[mine])
    any_box = bool(mine.any())
    return ClassStats(
        name=name,
        images=_by_place(place[np.unique(image[mine])]),
        boxes=_by_place(place[image[mine]]),
        side_px=(_rounded(sides.min()), _rounded(np.median(sides)), _rounded(sides.max()))
        if any_box
        else None,
        share=_rounded(np.median(shares[mine]), 6) if any_box else None,
    )


def _by_place(place: npt.NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(PLACES, np.bincount(place, minlength=len(PLACES)).tolist(), strict=True))


def _rounded(value: float, digits: int = 1) -> float:
    return round(float(value), digits)
