"""The only codec of COCO files: documents of images, annotations and categories, and lists of results.

The codec checks the fields that COCO defines, once, when a file is read. Splits, cases, marks of
pseudo-labels and the matching of other programs' images are left to the callers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.files import open_text, whole_file
from medrov_cli.core.base.text_files import DocumentError, is_encodable
from medrov_cli.core.datasets.coco_records import (
    CocoAnnotation,
    CocoCategory,
    CocoDocument,
    CocoError,
    CocoImage,
    CocoRecord,
)
from medrov_cli.core.datasets.coco_result import CocoResult

_R = TypeVar("_R", bound=CocoRecord)


class NotJsonError(CocoError):
    """The file is no JSON text within the limits of `medrov_cli.core.base.documents`."""


class Layout(Enum):
    """Form of a written document: text between its parts, and its lists with one record a line."""

    ONE_LINE = (", ", ())
    ANNOTATION_PER_LINE = (", ", ("annotations",))
    RECORD_PER_LINE = (",\n", ("images", "annotations"))


@dataclass(frozen=True, slots=True)
class CocoResults:
    """Detections as other programs write them.

    Attributes
    ----------
    results
        In the order of the file.
    images, categories
        Those of a document, to which the results refer; None for a list of results.
    """

    results: tuple[CocoResult, ...]
    images: tuple[CocoImage, ...] | None = None
    categories: tuple[CocoCategory, ...] | None = None


def read_document(path: Path, *, check_records: bool = True) -> CocoDocument:
    """Read a document; see `parse_document`.

    Raises
    ------
    CocoError
        If the document contradicts itself or lacks a field; `NotJsonError` if it is not JSON.
    OSError
        If the file cannot be read.
    """
    return parse_document(_read_json(path), check_records=check_records)


def parse_document(value: object, *, check_records: bool = True) -> CocoDocument:
    """Return the document of a JSON object.

    Identifiers of images and of categories are unique, and annotations refer to them.

    Parameters
    ----------
    value
        The JSON object; it is not changed.
    check_records
        Whether boxes and areas of all annotations, and sizes and file names of all images are checked:
        finite numbers, one pixel or more, a path inside the folder of images. Otherwise a wrong field
        raises `CocoError` when it is used.

    Raises
    ------
    CocoError
        If the document contradicts itself or lacks a field.
    """
    if not isinstance(value, dict):
        raise CocoError("it is not a JSON object")
    images, categories = _records(value, "images", CocoImage), _records(value, "categories", CocoCategory)
    document = CocoDocument(value, images, _records(value, "annotations", CocoAnnotation), categories)
    if not isinstance(document.info.fields, dict):
        raise CocoError("'info' is not an object")
    for category in categories:
        if not is_encodable(str(category.require("name"))):
            raise CocoError(f"category {category.id} has a name that is not valid text")
    known = {"image_id": _unique_ids(images, "images"), "category_id": _unique_ids(categories, "categories")}
    for own in document.annotations:
        for key, ids in known.items():
            if own.require_id(key) not in ids:
                raise CocoError(f"annotation {own.fields.get('id')} has the unknown {key} {own.fields[key]}")
    if check_records:
        _check_records(document)
    return document


def read_results(path: Path) -> CocoResults:
    """Read a list of results, or a document whose annotations are results.

    Raises
    ------
    CocoError
        If a field is missing, a box is not left, top, width, height, or a score is not from 0 to 1;
        `NotJsonError` if the file is not JSON.
    OSError
        If the file cannot be read.
    """
    value = _read_json(path)
    if isinstance(value, list):
        return CocoResults(_results({"results": value}, "results"))
    if not isinstance(value, dict):
        raise CocoError("it is neither a list of results nor a document")
    images = _records(value, "images", CocoImage)
    categories = _records(value, "categories", CocoCategory)
    _unique_ids(images, "images")
    _unique_ids(categories, "categories")
    return CocoResults(_results(value, "annotations"), images, categories)


def write_document(
    path: Path, parts: Mapping[str, Any], *, layout: Layout = Layout.ONE_LINE, ascii_only: bool = False
) -> None:
    """Write a document, record by record.

    Parameters
    ----------
    path
        The file; it is replaced as a whole.
    parts
        Values by key, in the order in which they are written. ``images``, ``annotations`` and
        ``categories`` are records, and may be generators.
    layout
        Line breaks.
    ascii_only
        Whether other characters are written as escape sequences.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    separator, by_line = layout.value
    encode = json.JSONEncoder(ensure_ascii=ascii_only, allow_nan=layout is Layout.ONE_LINE).encode

    def pieces() -> Iterator[str]:
        for number, (key, value) in enumerate(parts.items()):
            yield (separator if number else "{") + encode(key) + ": "
            if key in ("images", "annotations", "categories"):
                yield from _array(value, encode, "\n" if key in by_line else "")
            else:
                yield encode(value)
        yield "}\n"

    _write(path, pieces())


def write_results(path: Path, results: Iterable[CocoResult]) -> None:
    """Write a list of results, one a line.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    encode = json.JSONEncoder(allow_nan=False).encode
    _write(path, itertools.chain(_array(results, encode, "\n"), ["\n"]))


def _read_json(path: Path) -> Any:
    try:
        return read_json(path, allow_nan=True)  # programs write them, and a wrong box costs one image
    except DocumentError as error:
        raise NotJsonError(f"it {error}") from None


def _records(document: Mapping[str, Any], key: str, kind: type[_R]) -> tuple[_R, ...]:
    items = CocoRecord(document).require(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CocoError(f"{key!r} is not a list of objects")
    return tuple(map(kind, items))


def _unique_ids(records: Iterable[CocoImage | CocoCategory], what: str) -> set[Any]:
    ids: set[Any] = set()
    for record in records:
        if record.id in ids:
            raise CocoError(f"two {what} have the id {record.id!r}")
        ids.add(record.id)
    return ids


def _check_records(document: CocoDocument) -> None:
    for image in document.images:
        if not is_inside(image.file_name):
            raise CocoError(f"image {image.id} has a file_name outside of its folder")
        if image.width < 1 or image.height < 1:
            raise CocoError(f"image {image.id} has no pixels")
    for annotation in document.annotations:
        _ = annotation.box_xywh, annotation.area  # both raise what is wrong with them


def is_inside(file_name: str) -> bool:
    """Tell whether a path with forward slashes stays inside the folder to which it is relative."""
    path = PurePosixPath(file_name)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts


def _results(document: Mapping[str, Any], key: str) -> tuple[CocoResult, ...]:
    records = _records(document, key, CocoRecord)
    return tuple(CocoResult.of_record(own, number) for number, own in enumerate(records, 1))


def _array(
    records: Iterable[CocoRecord | CocoResult], encode: Callable[[Any], str], line_break: str
) -> Iterator[str]:
    """Yield a JSON array, record by record."""
    yield "[" + line_break
    for number, record in enumerate(records):
        yield ("," + (line_break or " ") if number else "") + encode(record.fields)
    yield line_break + "]"


def _write(path: Path, pieces: Iterable[str]) -> None:
    with whole_file(path) as temporary, open_text(temporary) as stream:
        stream.writelines(pieces)
