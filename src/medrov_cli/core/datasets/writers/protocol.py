"""Protocol of a writer of ``medrov data export``.

A new format is a file ``writers/<name>.py`` that ends with ``WRITER: DatasetWriter = ...``, a row in
``writers/registry.py``, and the name in ``options/exporting.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medrov_cli.core.datasets.writers.exported_images import ExportedImage


@dataclass(frozen=True, slots=True)
class Written:
    """Boxes that a writer left out, because its format cannot hold them.

    Attributes
    ----------
    crowds
        Boxes of several objects.
    outside
        Boxes without any area inside their image.
    """

    crowds: int = 0
    outside: int = 0


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
        self, folder: Path, images: Sequence[ExportedImage], classes: Sequence[str], image_url: str
    ) -> Written:
        """Write the annotations of images that are already in their places.

        Parameters
        ----------
        folder
            The output.
        images, classes
            In the order in which they are numbered.
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
