"""Read YOLO layouts: a description of the dataset, images, and a text file of boxes for each image.

A line is ``class centre_x centre_y width height``, or ``class x y x y x y ...`` (the corners of a polygon),
in fractions of the image's width and height. Ultralytics reads sizes and pixels after the turn by the EXIF
orientation. An image without a text file has no objects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError, read_text
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.readers.protocol import (
    Reader,
    Reading,
    Unit,
    failing_unit,
    listed,
    several_splits,
)
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import AnnotatedGrid, annotated_file, nothing_in
from medrov_cli.core.datasets.readers.shared.yolo_label_files import LabelFiles
from medrov_cli.core.datasets.readers.shared.yolo_layout import HINT, YoloSet, read_yolo_set
from medrov_cli.core.datasets.readers.shared.yolo_lines import LabelForm, parse_labels
from medrov_cli.core.datasets.split_names import split_named
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.data_convert import ReaderSettings

_GRID = AnnotatedGrid("its label file")
_NAMES = ("classes.txt", "obj.names", "train.txt", "val.txt", "valid.txt", "test.txt")


def read(config: ReaderSettings) -> Reading:
    """List one unit for each image of the splits.

    A path of a list that leads to no image, and a label file without an image, are units that fail.

    Raises
    ------
    MedrovError
        ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    found = read_yolo_set(config.path, config.images)
    if not found.images and not found.missing:
        raise nothing_in(found.file, "names of missing images only", HINT)
    shown = {path: _shown(path, found.root) for path in found.images}
    stems = file_stems(list(shown.values()))
    labels = LabelFiles(list(found.images))

    def unit(path: Path) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            notes: list[str] = []
            yield annotated_file(
                path,
                stems[shown[path]],
                lambda height, width: _boxes(labels.by_image[path], found.form, (height, width), notes),
                _GRID,
                case=case_in_path(_below_images(shown[path]), config.case),
                split=found.images[path],
                notes=notes,
            )

        return Unit(shown[path], images_of)

    alone = labels.without_image([folder / name for folder in (found.root,) for name in _NAMES])
    units = (
        *(unit(path) for path in found.images),
        *(failing_unit(line, error) for line, error in found.missing.items()),
        *(failing_unit(_shown(path, found.root), _no_image()) for path in alone),
    )
    names = tuple(dict.fromkeys(found.form.names.values()))
    return Reading(units, names, tuple(_warnings(found, labels, shown)))


def _warnings(found: YoloSet, labels: LabelFiles, shown: dict[Path, str]) -> Iterator[str]:
    without = [shown[path] for path in found.images if labels.by_image[path] is None]
    if without and len(without) == len(found.images):
        yield "no image has a label file: all count as images without objects; check the folder of the labels"
    elif without:
        what = f"{len(without)} image(s) have no label file and count as images without objects"
        yield f"{what}: {listed(without)}"
    yield from several_splits([shown[path] for path in found.repeated])


def _shown(path: Path, root: Path) -> str:
    path, root = (Path(os.path.normpath(own.absolute())) for own in (path, root))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _below_images(shown: str) -> str:
    """Return the path of an image without its first folders ``images`` and those of a split."""
    parts = shown.split("/")
    while len(parts) > 1 and (parts[0].casefold() == "images" or split_named(parts[0])):
        del parts[0]
    return "/".join(parts)


def _boxes(
    file: Path | None, form: LabelForm, size_hw: tuple[int, int], notes: list[str]
) -> tuple[Annotation, ...]:
    if file is None:
        return ()
    try:
        text = read_text(file)
    except (OSError, DocumentError) as error:
        what = "cannot be read" if isinstance(error, OSError) else str(error)
        raise MedrovError(
            ErrorCode.BAD_METADATA, f"The label file {what}.", "Save it as UTF-8 text."
        ) from None
    boxes, own = parse_labels(text, form, *size_hw)
    notes += own
    return boxes


def _no_image() -> MedrovError:
    return MedrovError(
        ErrorCode.NOT_FOUND,
        "The label file has no image.",
        "Add the image with its stem, or remove the file.",
    )


READER: Reader = read
