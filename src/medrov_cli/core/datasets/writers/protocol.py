"""Protocol of a writer of ``medrov data export``.

A new format is a file ``writers/<name>.py`` that ends with ``WRITER: DatasetWriter = ...``, a row in
``writers/registry.py``, and the name in ``options/exporting.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medrov_cli.core.datasets.coco_records import CocoAnnotation
from medrov_cli.core.datasets.sources import is_pseudo
from medrov_cli.core.datasets.writers.exported_images import ExportedImage, ExportHead
from medrov_cli.core.records.annotations import Annotation


@dataclass(frozen=True, slots=True)
class Written:
    """Numbers of boxes that a format cannot hold, or cannot hold as they are.

    Attributes
    ----------
    crowds
        Boxes of several objects.
    outside
        Boxes without any area inside their image.
    unmarked
        Written boxes of a detector, which look like those of people.
    """

    crowds: int = 0
    outside: int = 0
    unmarked: int = 0

    def __add__(self, other: Written) -> Written:
        """Return the sums."""
        return Written(
            self.crowds + other.crowds, self.outside + other.outside, self.unmarked + other.unmarked
        )


class DatasetWriter(Protocol):
    """Writer of one format."""

    @property
    def main_file(self) -> str:
        """File to open in the other tool, relative to the output; it is written last."""

    @property
    def follows_exif(self) -> bool:
        """Whether boxes are written for the image as its EXIF orientation shows it."""

    def image_places(self, images: Sequence[ExportedImage]) -> dict[str, str]:
        """Return the path of each image relative to the output, by its name."""

    def write(
        self, folder: Path, images: Sequence[ExportedImage], head: ExportHead, image_url: str
    ) -> Written:
        """Write the annotations of images that are already in their places.

        Parameters
        ----------
        folder
            The output.
        images
            In the order in which they are numbered.
        head
            Classes, and what is stated about the whole.
        image_url
            Prefix of the addresses of images; formats without addresses ignore it.

        Raises
        ------
        MedrovError
            ``DATASET_INVALID``: the format cannot hold a name. ``OUTPUT_FAILED``.
        """


def images_folder(images: Sequence[ExportedImage]) -> dict[str, str]:
    """Return the places of images in the folder ``images`` under their own names."""
    return {image.name: f"images/{image.name}" for image in images}


def boxes_inside(
    image: ExportedImage, *, with_crowds: bool
) -> tuple[list[tuple[Annotation, tuple[float, float, float, float]]], Written]:
    """Return the boxes of an image as left, top, width and height, each cut to the image.

    Parameters
    ----------
    image
        The image.
    with_crowds
        Whether the format can mark boxes of several objects; otherwise they are left out.

    Returns
    -------
    boxes, written
        The boxes in their order, and the numbers of the others and of those of a detector.
    """
    crowds = 0 if with_crowds else sum(box.crowd for box in image.boxes)
    wanted = [box for box in image.boxes if with_crowds or not box.crowd]
    cut = [(box, box.inside(image.height, image.width)) for box in wanted]
    inside = [(box, xywh) for box, xywh in cut if xywh is not None]
    unmarked = sum(is_pseudo(CocoAnnotation(box.record)) for box, _ in inside)
    return inside, Written(crowds, len(wanted) - len(inside), unmarked)
