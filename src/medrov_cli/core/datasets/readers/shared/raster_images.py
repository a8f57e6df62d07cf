"""An image file and its boxes become an annotated image: functions of all readers of raster formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.box_forms import require_pixels, require_upright
from medrov_cli.core.datasets.readers.shared.raster_files import read_raster_image
from medrov_cli.core.pixels.exif_orientation import read_orientation
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.records.orientation import UPRIGHT, box_to_stored, shown_size
from medrov_cli.core.settings.choices import Split

Boxes = Callable[[int, int], tuple[Annotation, ...]]
"""From height and width of the image for which the annotations were made to its boxes."""

TURNED = "boxes were turned by the EXIF orientation to the stored pixels"

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class AnnotatedGrid:
    """What an annotation file states about the pixel grid of its boxes.

    Attributes
    ----------
    what
        The statement's source, for messages: ``its XML file``.
    size_hw
        Height and width that the file states; None where it states none.
    follows_exif
        Whether the format's tools show, and annotate, an image as its EXIF orientation says. It decides where
        the size does not.
    """

    what: str
    size_hw: tuple[int, int] | None = None
    follows_exif: bool = True

    def is_shown(self, stored_hw: tuple[int, int], orientation: int) -> bool:
        """Tell whether the boxes are those of the shown image, and not of the stored one.

        Raises
        ------
        MedrovError
            ``bad_metadata``: the size is that of neither.
        """
        shown_hw = shown_size(stored_hw, orientation)
        if self.size_hw is None or shown_hw == stored_hw == self.size_hw:
            return self.follows_exif and orientation != UPRIGHT
        if self.size_hw not in (stored_hw, shown_hw):
            (height, width), (high, wide) = stored_hw, self.size_hw
            raise MedrovError(
                ErrorCode.BAD_METADATA,
                f"The image has {width} x {height} pixels; {self.what} is for {wide} x {high}.",
                "Give the image for which the annotations were made.",
            )
        return self.size_hw != stored_hw


def annotated_file(
    path: Path,
    name: str,
    boxes: Boxes,
    grid: AnnotatedGrid,
    *,
    case: str | None = None,
    split: Split | None = None,
    notes: Sequence[str] = (),
) -> AnnotatedImage:
    """Decode a file and add its boxes in stored pixels.

    Boxes of the image as its EXIF orientation shows it are turned to the stored pixels. ``notes`` become
    warnings of the image; ``boxes`` may add to them.

    Raises
    ------
    MedrovError
        An input code.
    """
    image = read_raster_image(path)
    stored_hw = (image.pixels.shape[0], image.pixels.shape[1])
    orientation = read_orientation(path)
    is_shown = grid.is_shown(stored_hw, orientation)
    own = boxes(*(shown_size(stored_hw, orientation) if is_shown else stored_hw))
    for annotation in own:
        require_upright(annotation.box_xywh)
    require_pixels([annotation.box_xywh for annotation in own])
    if is_shown:
        own = tuple(_to_stored(annotation, orientation, stored_hw) for annotation in own)
    return AnnotatedImage(
        name=name,
        height=stored_hw[0],
        width=stored_hw[1],
        annotations=own,
        read=lambda: image.pixels,
        original=image.original,
        case=case,
        split=split,
        warnings=(*notes, *([TURNED] if is_shown else [])),
    )


def _to_stored(annotation: Annotation, orientation: int, stored_hw: tuple[int, int]) -> Annotation:
    turned = box_to_stored(annotation.box_xywh, orientation, stored_hw)
    left, top, width, height = (round(value, _DIGITS) + 0.0 for value in turned)
    return replace(annotation, box_xywh=(left, top, width, height))


def expect_size(height: int, width: int, expected_hw: tuple[int, int], what: str) -> None:
    """Refuse boxes that were made for an image of another size.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    AnnotatedGrid(what, expected_hw).is_shown((height, width), UPRIGHT)


def nothing_in(folder: Path, what: str, hint: str) -> MedrovError:
    """Return the error of an input in which there is nothing to read."""
    if not folder.exists():
        return MedrovError(ErrorCode.NOT_FOUND, f"{folder}: the file or folder does not exist.", hint)
    return MedrovError(ErrorCode.NO_INPUT, f"{folder} contains {what}.", hint)
