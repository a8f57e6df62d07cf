"""Truth and predictions as COCO files: what other programs write and read.

An image is named ``SOURCE/images/FILE``; ids count from 1 in the order of the split's images and of
the dataset's classes. A file of predictions is a list of results, or a document with ``annotations``
(then its ``images`` are matched by ``file_name`` and its ``categories`` by name).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.coco import Layout, NotJsonError, read_results, write_document
from medrov_cli.core.datasets.coco_records import (
    CocoAnnotation,
    CocoCategory,
    CocoError,
    CocoImage,
    CocoResult,
    MissingFieldError,
    numbered_categories,
)
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.boxes import xywh_to_xyxy, xyxy_to_xywh
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.settings.choices import SPLITS, Split

_HINT = "See docs/evaluation.md for the form; --export-truth writes the ids that are expected."


def image_name(dataset: Dataset, sample: Sample) -> str:
    """Return the name of an image in COCO files: ``SOURCE/images/FILE``."""
    source = dataset.sources[sample.source_id]
    return f"{source.name}/images/{sample.image_path.relative_to(source.images).as_posix()}"


def write_truth(path: Path, dataset: Dataset, split: Split) -> None:
    """Write the truth of a split as one COCO document that ``pycocotools.COCO`` opens.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    _write(path, dataset, split, _truth(dataset.samples[split]))


def _truth(samples: Sequence[Sample]) -> Iterator[CocoAnnotation]:
    numbers = itertools.count(1)
    for image_id, sample in enumerate(samples, start=1):
        for is_crowd, boxes, labels in (
            (False, sample.boxes_xyxy, sample.labels),
            (True, sample.crowd_xyxy, sample.crowd_labels),
        ):
            areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) if is_crowd else sample.areas
            for box, label, area in zip(
                xyxy_to_xywh(boxes).tolist(), labels.tolist(), areas.tolist(), strict=True
            ):
                yield CocoAnnotation.make((next(numbers), image_id, label + 1), box, area, is_crowd=is_crowd)


def write_predictions(path: Path, dataset: Dataset, split: Split, found: Sequence[Detections]) -> None:
    """Write detections as a COCO document; its ``annotations`` alone are a COCO result file.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    results = (
        CocoResult(image_id, label + 1, box, score)
        for image_id, one in enumerate(found, start=1)
        for box, score, label in zip(
            np.round(xyxy_to_xywh(one.boxes_xyxy.astype(np.float64)), 3).tolist(),
            one.scores.tolist(),
            one.labels.tolist(),
            strict=True,
        )
    )
    _write(path, dataset, split, (own.as_annotation(number) for number, own in enumerate(results, 1)))


def _write(path: Path, dataset: Dataset, split: Split, annotations: Iterable[CocoAnnotation]) -> None:
    images = (
        CocoImage.make(number, image_name(dataset, sample), sample.width, sample.height)
        for number, sample in enumerate(dataset.samples[split], 1)
    )
    parts = {
        "info": {"description": f"{dataset.name}, {split} split. {RESEARCH_NOTICE}"},
        "categories": numbered_categories(dataset.classes),
        "images": images,
        "annotations": annotations,
    }
    write_document(path, parts, layout=Layout.ANNOTATION_PER_LINE, ascii_only=True)


def read_predictions(path: Path, dataset: Dataset, split: Split) -> tuple[list[Detections], int]:
    """Read the predictions of a split, and the number of those that belong to other splits.

    Raises
    ------
    MedrovError
        ``PREDICTIONS_INVALID``: not COCO, an unknown image or category, an image that is listed
        twice, a box or score that is no number.
    """
    by_position: list[list[tuple[Sequence[float], float, int]]] = [[] for _ in dataset.samples[split]]
    elsewhere = 0
    with _complaints(path):
        file = read_results(path)
        if file.images is None or file.categories is None:
            image_of, row_of = _by_id(dataset, split)
        else:
            image_of = _by_file_name(file.images, dataset, split)
            row_of = _by_category_name(file.categories, dataset)
        for result in file.results:
            position = image_of(result.image_id)
            label = row_of(result.category_id)
            if position is None:
                elsewhere += 1
            else:
                by_position[position].append((result.box_xywh, result.score, label))
    return [_found(rows) for rows in by_position], elsewhere


def _found(rows: list[tuple[Sequence[float], float, int]]) -> Detections:
    rows = sorted(rows, key=lambda row: -row[1])
    return Detections(
        xywh_to_xyxy(np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4)),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


_Position = Callable[[Any], int | None]
"""From an image id to its position in the split; null for an image of another split."""


def _by_id(dataset: Dataset, split: Split) -> tuple[_Position, Callable[[Any], int]]:
    """Return the ids of a bare list: the file's own for a single source, else those of the truth file."""
    single = len(dataset.sources) == 1
    positions: dict[Any, int | None] = {}
    for other in SPLITS:
        for number, sample in enumerate(dataset.samples[other]):
            if single:
                positions[sample.image_id] = number if other == split else None
            elif other == split:
                positions[number + 1] = number
    rows = dataset.sources[0].category_rows if single else {r + 1: r for r in range(len(dataset.classes))}
    return (
        lambda image_id: _known(positions, image_id, "image id"),
        lambda category: _known(dict(rows), category, "category id"),
    )


def _by_file_name(images: Sequence[CocoImage], dataset: Dataset, split: Split) -> _Position:
    names: dict[str, list[int | None]] = {}
    for other in SPLITS:
        for number, sample in enumerate(dataset.samples[other]):
            for name in _endings(image_name(dataset, sample)):
                names.setdefault(name, []).append(number if other == split else None)
    positions: dict[Any, int | None] = {}
    for image in images:
        name = image.file_name.replace("\\", "/")
        matches = next((names[end] for end in _endings(name) if end in names), None)
        if matches is None:
            raise CocoError(f"the dataset has no image {name!r}")
        if len(matches) > 1:
            raise CocoError(f"several sources have an image {name!r}; write SOURCE/images/FILE")
        positions[image.id] = matches[0]
    used = [position for position in positions.values() if position is not None]
    if len(used) != len(set(used)):
        raise CocoError("an image is listed twice")
    return lambda image_id: _known(positions, image_id, "image id")


def _endings(name: str) -> Iterator[str]:
    """Yield a path and its endings, longest first; ``images`` folders may be left out."""
    parts = name.split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:])
    if len(parts) >= 3 and parts[-2] == "images":
        yield "/".join([parts[-3], parts[-1]])


def _by_category_name(categories: Sequence[CocoCategory], dataset: Dataset) -> Callable[[Any], int]:
    rows = {name.casefold(): row for row, name in enumerate(dataset.classes)}
    names = {category.id: category.name for category in categories}

    def row_of(category_id: Any) -> int:
        name = names.get(category_id, category_id)
        row = rows.get(name.casefold()) if category_id in names else None
        if row is None:
            raise CocoError(f"the dataset has no class {name!r}")
        return row

    return row_of


@contextlib.contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Turn what is wrong with the file into ``PREDICTIONS_INVALID``."""
    try:
        yield
    except OSError as error:
        raise _invalid(path, error.strerror or str(error)) from error
    except NotJsonError as error:
        raise _invalid(path, "it is not JSON") from error
    except MissingFieldError as error:
        raise _invalid(path, f"a field {error.field!r} is missing") from error
    except CocoError as error:
        raise _invalid(path, str(error)) from error


def _invalid(path: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.PREDICTIONS_INVALID, f"{path}: {what}", _HINT)


def _known(table: dict[Any, Any], key: Any, what: str) -> Any:
    if key not in table:
        raise CocoError(f"unknown {what} {key!r}")
    return table[key]
