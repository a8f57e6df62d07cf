"""Read COCO instances: one JSON file and a folder of images."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.raster import file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import annotated_file, expect_size, nothing_in
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.datasets.writers.images import safe_case
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
        categories = {item["id"]: str(item["name"]).strip() for item in document["categories"]}
        boxes = _by_image(document, categories)
        images = sorted(document["images"], key=lambda image: natural_key(_file_name(image)))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _invalid(file, f"is not a usable COCO file: {error}") from None
    if not images:
        raise nothing_in(file, "no image", _HINT)
    beside = file.parent / "images"
    folder = config.images or (beside if beside.is_dir() else file.parent)
    stems = file_stems([_file_name(image) for image in images])
    if len(stems) != len(images):
        raise _invalid(file, "names one file for two images")

    def unit(image: Mapping[str, Any]) -> Unit:
        name = _file_name(image)

        def images_of() -> Iterator[AnnotatedImage]:
            if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
                raise _bad("leads out of the folder of images")
            yield annotated_file(
                folder / name,
                stems[name],
                lambda height, width: _boxes(image, boxes[image["id"]], categories, height, width),
                case=_case(image, config),
                split=_split(image),
            )

        return Unit(name, images_of)

    return Reading(tuple(unit(image) for image in images), tuple(dict.fromkeys(categories.values())))


def _document(file: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise nothing_in(file, "nothing that can be read", _HINT) from None
    except ValueError:
        raise _invalid(file, "is not a JSON file") from None
    if not isinstance(document, dict):
        raise _invalid(file, "is not a JSON object")
    return document


def _by_image(
    document: Mapping[str, Any], categories: Mapping[Any, str]
) -> dict[Any, list[Mapping[str, Any]]]:
    by_image: dict[Any, list[Mapping[str, Any]]] = {image["id"]: [] for image in document["images"]}
    if len(by_image) != len(document["images"]):
        raise ValueError("two images have the same id")
    for annotation in document["annotations"]:
        for key, known in (("image_id", by_image), ("category_id", categories)):
            if annotation[key] not in known:
                raise ValueError(f"annotation {annotation.get('id')} has the unknown {key} {annotation[key]}")
        by_image[annotation["image_id"]].append(annotation)
    return by_image


def _file_name(image: Mapping[str, Any]) -> str:
    return str(image["file_name"]).replace("\\", "/")


def _boxes(
    image: Mapping[str, Any],
    annotations: list[Mapping[str, Any]],
    categories: Mapping[Any, str],
    height: int,
    width: int,
) -> tuple[Annotation, ...]:
    said = (image.get("height"), image.get("width"))
    if isinstance(said[0], int) and isinstance(said[1], int):
        expect_size(height, width, (said[0], said[1]), "its COCO record")
    return tuple(_annotation(item, categories[item["category_id"]]) for item in annotations)


def _annotation(item: Mapping[str, Any], name: str) -> Annotation:
    box, area = item.get("bbox"), item.get("area")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise _bad("has an annotation without a box")
    if area is not None and not _is_number(area):
        raise _bad("has an annotation whose area is no number")
    return Annotation(name, (box[0], box[1], box[2], box[3]), area, bool(item.get("iscrowd")))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _case(image: Mapping[str, Any], config: ReaderSettings) -> str | None:
    if config.case is not None:
        return case_in_path(_file_name(image), config.case)
    return safe_case(image.get("case"), config.source)


def _split(image: Mapping[str, Any]) -> Split | None:
    return next((split for split in SPLITS if split == image.get("split")), None)


def _invalid(file: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.DATASET_INVALID, f"{file} {what}", _HINT)


def _bad(what: str) -> MedrovError:
    return MedrovError(
        ErrorCode.BAD_METADATA, f"The COCO record {what}.", "Correct the file, or export it again."
    )


READER: Reader = read
