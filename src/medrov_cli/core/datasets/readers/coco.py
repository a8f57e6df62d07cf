"""Read COCO instances: one JSON file and a folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.coco import NotJsonError, is_inside, read_document
from medrov_cli.core.datasets.coco_records import CocoAnnotation, CocoDocument, CocoError, CocoImage
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import annotated_file, expect_size, nothing_in
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.datasets.writers.exported_images import safe_case
from medrov_cli.core.pixels.inputs import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import SPLITS, Split
from medrov_cli.core.settings.data_convert import ReaderSettings

_HINT = "Give a COCO instances file, or a folder with annotations.json and images/."


def read(config: ReaderSettings) -> Reading:
    """List one unit an image, in natural order of file names.

    ``split``, ``iscrowd`` and ``area`` are kept; a ``case`` is hashed, unless it is a hash.

    Raises
    ------
    MedrovError
        ``not_found`` or ``dataset_invalid``.
    """
    file = config.path / ANNOTATIONS if config.path.is_dir() else config.path
    document = _document(file)
    try:
        images = sorted(document.images, key=lambda image: natural_key(_file_name(image)))
    except CocoError as error:
        raise _unusable(file, error) from None
    class_names = {category.id: category.name.strip() for category in document.categories}
    boxes: dict[Any, list[CocoAnnotation]] = {image.id: [] for image in images}
    for annotation in document.annotations:
        boxes[annotation.image_id].append(annotation)
    if not images:
        raise nothing_in(file, "no image", _HINT)
    beside = file.parent / "images"
    folder = config.images or (beside if beside.is_dir() else file.parent)
    stems = file_stems([_file_name(image) for image in images])
    if len(stems) != len(images):
        raise _invalid(file, "names one file for two images")

    def unit(image: CocoImage) -> Unit:
        name = _file_name(image)

        def images_of() -> Iterator[AnnotatedImage]:
            if not is_inside(name):
                raise _bad("points outside the folder of images")
            yield annotated_file(
                folder / name,
                stems[name],
                lambda height, width: _boxes(image, boxes[image.id], class_names, height, width),
                case=_case(image, config),
                split=_split(image),
            )

        return Unit(name, images_of)

    return Reading(tuple(unit(image) for image in images), tuple(dict.fromkeys(class_names.values())))


def _document(file: Path) -> CocoDocument:
    """Return the document; images and boxes are checked one by one when they are read."""
    try:
        return read_document(file, check_records=False)
    except OSError:
        raise nothing_in(file, "no readable content", _HINT) from None
    except NotJsonError:
        raise _invalid(file, "is not a JSON file") from None
    except CocoError as error:
        raise _unusable(file, error) from None


def _file_name(image: CocoImage) -> str:
    return image.file_name.replace("\\", "/")


def _boxes(
    image: CocoImage,
    annotations: Sequence[CocoAnnotation],
    class_names: Mapping[Any, str],
    height: int,
    width: int,
) -> tuple[Annotation, ...]:
    said = (image.fields.get("height"), image.fields.get("width"))
    if isinstance(said[0], int) and isinstance(said[1], int):
        expect_size(height, width, (said[0], said[1]), "its COCO record")
    return tuple(_annotation(own, class_names[own.category_id]) for own in annotations)


def _annotation(own: CocoAnnotation, class_name: str) -> Annotation:
    try:
        box = own.box_xywh
    except CocoError:
        raise _bad("has an annotation without a box") from None
    try:
        area = own.area
    except CocoError:
        raise _bad("has an annotation with an area that is not a number") from None
    return Annotation(class_name, box, area, own.is_crowd)


def _case(image: CocoImage, config: ReaderSettings) -> str | None:
    if config.case is not None:
        return case_in_path(_file_name(image), config.case)
    return safe_case(image.fields.get("case"), config.source)


def _split(image: CocoImage) -> Split | None:
    return next((split for split in SPLITS if split == image.fields.get("split")), None)


def _unusable(file: Path, error: CocoError) -> MedrovError:
    return _invalid(file, f"is not a usable COCO file: {error}")


def _invalid(file: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.DATASET_INVALID, f"{file} {what}", _HINT)


def _bad(what: str) -> MedrovError:
    return MedrovError(
        ErrorCode.BAD_METADATA, f"The COCO record {what}.", "Correct the file, or export it again."
    )


READER: Reader = read
