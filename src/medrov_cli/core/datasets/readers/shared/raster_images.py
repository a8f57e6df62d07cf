"""What the readers of raster formats share: an image file and its boxes become an annotated image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.shared.raster_files import read_raster_image
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import Split

Boxes = Callable[[int, int], tuple[Annotation, ...]]
"""From an image's height and width to its boxes."""


def annotated_file(
    path: Path, name: str, boxes: Boxes, *, case: str | None = None, split: Split | None = None
) -> AnnotatedImage:
    """Decode a file and put its boxes to it.

    Raises
    ------
    MedrovError
        An input code.
    """
    image = read_raster_image(path)
    height, width = image.pixels.shape[:2]
    return AnnotatedImage(
        name=name,
        height=height,
        width=width,
        annotations=boxes(height, width),
        read=lambda: image.pixels,
        original=image.original,
        case=case,
        split=split,
    )


def expect_size(height: int, width: int, expected_hw: tuple[int, int], what: str) -> None:
    """Refuse boxes that were made for an image of another size.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    if (height, width) != expected_hw:
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            f"The image has {width} x {height} pixels; {what} is for {expected_hw[1]} x {expected_hw[0]}.",
            "Give the image for which the annotations were made; an EXIF orientation is not applied.",
        )


def nothing_in(folder: Path, what: str, hint: str) -> MedrovError:
    """Return the error of an input in which there is nothing to read."""
    if not folder.exists():
        return MedrovError(ErrorCode.NOT_FOUND, f"{folder}: the file or folder does not exist.", hint)
    return MedrovError(ErrorCode.NO_INPUT, f"{folder} contains {what}.", hint)
