"""COCO documents with the boxes that a detector added: how they are added, found and changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.datasets import coco
from medrov_cli.core.datasets.coco_records import (
    CocoAnnotation,
    CocoCategory,
    CocoDocument,
    CocoError,
    CocoRecord,
)
from medrov_cli.core.datasets.sources import PSEUDO, invalid, is_pseudo
from medrov_cli.core.records.detections import Detections

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the scores of a class, for people who look for a threshold."""


ImageLabels = tuple[Any, Detections]
"""The id of an image in its source's COCO file, and the labels that a detector made in it, with names."""


def read_labelled(path: Path) -> CocoDocument:
    """Return a COCO file that :func:`medrov_cli.core.datasets.dataset.load_dataset` has accepted.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``.
    """
    try:
        return coco.read_document(path)
    except (OSError, coco.NotJsonError) as error:
        raise invalid(
            f"{path} cannot be read as JSON", "Restore the file: it changed during the run."
        ) from error
    except CocoError as error:
        raise invalid(f"{path} is not a COCO file", "Restore the file: it changed during the run.") from error


def with_added(
    document: CocoDocument, labels: Sequence[ImageLabels], marks: Mapping[str, Any]
) -> CocoDocument:
    """Return a document with labels after its own annotations, each with ``marks``.

    What was in it stays as it is. A class that has no category gets one, marked as not annotated.
    """
    rows = list(_rows(labels))
    categories = with_categories(document, [name for _, name, *_ in rows])
    id_of = ids_by_name(categories)
    first = _free_id(document.annotations)
    added = []
    for number, (image_id, name, box, score) in enumerate(rows):
        left, top, right, bottom = box
        width, height = round(right - left, 2), round(bottom - top, 2)
        annotation = CocoAnnotation.make(
            (first + number, image_id, id_of[name]),
            (left, top, width, height),
            round(width * height, 2),
        )
        added.append(annotation.replaced(**{"source": PSEUDO, "score": score, **marks}))
    return replace(document, categories=categories, annotations=(*document.annotations, *added))


def with_categories(document: CocoDocument, names: Iterable[str]) -> tuple[CocoCategory, ...]:
    """Return the categories of a document and those of new names, marked as not annotated."""
    categories = document.categories
    for name in sorted(set(names) - set(ids_by_name(categories))):
        added = CocoCategory({"id": _free_id(categories), "name": name, "source": PSEUDO})
        categories = (*categories, added)
    return categories


def ids_by_name(categories: Iterable[CocoCategory]) -> dict[str, Any]:
    """Return the id of each category; of several with one name, the first."""
    found: dict[str, Any] = {}
    for category in categories:
        found.setdefault(category.name, category.id)
    return found


def undecided(document: CocoDocument) -> Iterator[CocoAnnotation]:
    """Yield the annotations that a detector added and that nobody has looked at."""
    for annotation in document.annotations:
        if is_pseudo(annotation) and not annotation.fields.get("reviewed"):
            yield annotation


def counts_of(labels: Sequence[ImageLabels], asked: Sequence[str]) -> dict[str, Any]:
    """Return for each class that is asked for: boxes, images with one, and quantiles of the scores."""
    counts = {}
    for name in asked:
        own = [(image_id, score) for image_id, other, _, score in _rows(labels) if other == name]
        quantiles = np.quantile([score for _, score in own], QUANTILES) if own else None
        counts[name] = {
            "boxes": len(own),
            "images": len({image_id for image_id, _ in own}),
            "score_quantiles": None if quantiles is None else np.round(quantiles, 4).tolist(),
        }
    return counts


def _rows(labels: Iterable[ImageLabels]) -> Iterator[tuple[Any, str, list[float], float]]:
    """Yield the image, the class, the corners and the score of each label."""
    for image_id, found in labels:
        for name, box, score in zip(
            found.class_names, found.boxes_xyxy.tolist(), found.scores.tolist(), strict=True
        ):
            yield image_id, name, box, score


def _free_id(records: Iterable[CocoRecord]) -> int:
    """Return an id above all whole numbers among those of the records."""
    ids = [record.fields.get("id") for record in records]
    return max((own for own in ids if isinstance(own, int)), default=0) + 1
