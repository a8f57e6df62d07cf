"""Truth and predictions as COCO files: what other programs write and read.

An image is named ``SOURCE/images/FILE``; ids count from 1 in the order of the split's images and of
the dataset's classes. A file of predictions is a list of results, or a document with ``annotations``
(then its ``images`` are matched by ``file_name`` and its ``categories`` by name). Boxes are cut to their
image, as those of the truth are.
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
from medrov_cli.core.datasets.box_forms import StatedBox, as_box, judge_form
from medrov_cli.core.datasets.coco import Layout, read_results, write_document
from medrov_cli.core.datasets.coco_records import (
    CocoAnnotation,
    CocoCategory,
    CocoError,
    CocoImage,
    MissingFieldError,
    numbered_categories,
)
from medrov_cli.core.datasets.coco_result import CocoResult
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.prediction_images import (
    Position,
    image_name,
    known_value,
    positions_by_file_name,
    shown_orientations,
)
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.boxes import clip_boxes, xywh_to_xyxy, xyxy_to_xywh
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.orientation import box_to_stored
from medrov_cli.core.settings.choices import SPLITS, Split

_HINT = "See docs/evaluation.md for the form; --export-truth writes the ids that are expected."


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
            image_of = positions_by_file_name(file.images, dataset, split)
            row_of = _by_category_name(file.categories, dataset)
        orientations = shown_orientations(file.images or (), image_of, dataset.samples[split])
        for result in file.results:
            position = image_of(result.image_id)
            label = row_of(result.category_id)
            if position is None:
                elsewhere += 1
            else:
                box = as_box(result.box_xywh)
                if position in orientations:
                    sample = dataset.samples[split][position]
                    box = box_to_stored(box, orientations[position], (sample.height, sample.width))
                by_position[position].append((box, result.score, label))
        _check_form(by_position, dataset.samples[split])
    samples = dataset.samples[split]
    return [_found(rows, own) for rows, own in zip(by_position, samples, strict=True)], elsewhere


def _check_form(
    rows: Sequence[Sequence[tuple[Sequence[float], float, int]]], samples: Sequence[Sample]
) -> None:
    """Refuse boxes that are no left, top, width, height in pixels, by their range and where they lie."""
    boxes = [
        StatedBox(as_box(box), (sample.height, sample.width))
        for own, sample in zip(rows, samples, strict=True)
        for box, _, _ in own
        if box[2] and box[3]
    ]
    try:
        form = judge_form(boxes)
    except ValueError as error:
        raise CocoError(str(error)) from None
    if form.are_fractions:
        raise CocoError("all boxes lie inside the first pixel: they are fractions of the image, not pixels")


def _found(rows: list[tuple[Sequence[float], float, int]], sample: Sample) -> Detections:
    rows = sorted(rows, key=lambda row: -row[1])
    boxes = xywh_to_xyxy(np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4))
    return Detections(
        clip_boxes(boxes, sample.height, sample.width),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


def _by_id(dataset: Dataset, split: Split) -> tuple[Position, Callable[[Any], int]]:
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
        lambda image_id: known_value(positions, image_id, "image id"),
        lambda category: known_value(dict(rows), category, "category id"),
    )


def _by_category_name(categories: Sequence[CocoCategory], dataset: Dataset) -> Callable[[Any], int]:
    """Return the row of a category's class, by the exact name, else without letter case."""
    names = {category.id: category.name for category in categories}
    folded: dict[str, list[str]] = {}
    for own in dataset.classes:
        folded.setdefault(own.casefold(), []).append(own)

    def row_of(category_id: Any) -> int:
        if category_id not in names:
            raise CocoError(f"the dataset has no class {category_id!r}")
        name = names[category_id]
        alike = [name] if name in dataset.classes else folded.get(name.casefold(), [])
        if len(alike) > 1:
            raise CocoError(
                f"the category {name!r} may be {' or '.join(map(repr, alike))}; write one of them"
            )
        if not alike:
            raise CocoError(f"the dataset has no class {name!r}")
        return dataset.classes.index(alike[0])

    return row_of


@contextlib.contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Turn what is wrong with the file into ``PREDICTIONS_INVALID``."""
    try:
        yield
    except OSError as error:
        raise _invalid(path, error.strerror or str(error)) from error
    except MissingFieldError as error:
        raise _invalid(path, f"a field {error.field!r} is missing") from error
    except CocoError as error:
        raise _invalid(path, str(error)) from error


def _invalid(path: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.PREDICTIONS_INVALID, f"{path}: {what}", _HINT)
