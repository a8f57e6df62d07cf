"""What went wrong, image by image: the worst errors for the gallery, and a row an image."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.foreign_coco import image_name
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.error_analysis import Outcome
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.reports.pictures import GalleryItem

GALLERY = 24
"""Pictures of each kind."""

NEARBY = 5
"""Detections that are shown beside a miss."""

_COLUMNS = (
    "image",
    "source",
    "modality",
    "case",
    "truths",
    "found",
    "missed",
    "false_positives",
    "best_score",
)


def gallery_of(scene: ScoredSplit, outcome: Outcome) -> list[GalleryItem]:
    """Return the false positives with the highest scores and the largest misses, class by class in turn.

    In turn, since a class with many small objects would fill the page otherwise.
    """
    table = scene.table
    wrong = outcome.rows[outcome.is_wrong]
    wrong = wrong[np.argsort(-table.score[wrong], kind="stable")]
    scored = scene.scored[table.truth_image, table.truth_label]
    missed = np.flatnonzero(~outcome.is_found & ~table.is_crowd & scored)
    missed = missed[np.argsort(-table.truth_area[missed], kind="stable")]
    items = [_false_positive(scene, int(row)) for row in _in_turn(wrong, table.label)]
    return items + [_miss(scene, int(row)) for row in _in_turn(missed, table.truth_label)]


def _in_turn(rows: IntArray, label: IntArray) -> list[int]:
    """Return the first rows of each class, then the second ones, and so on."""
    classes = dict.fromkeys(label[rows].tolist())
    by_class = [rows[label[rows] == own][:GALLERY].tolist() for own in classes]
    turns = chain.from_iterable(zip_longest(*by_class))
    return [row for row in turns if row is not None][:GALLERY]


def _false_positive(scene: ScoredSplit, row: int) -> GalleryItem:
    table, names = scene.table, scene.dataset.classes
    image = int(table.image[row])
    truths = np.flatnonzero(table.truth_image == image)
    return GalleryItem(
        kind="false positive",
        image_path=scene.samples[image].image_path,
        name=image_name(scene.dataset, scene.samples[image]),
        class_name=names[table.label[row]],
        score=float(table.score[row]),
        box_xyxy=_box(table.xyxy[row]),
        others=tuple((names[table.truth_label[t]], _box(table.truth_xyxy[t])) for t in truths),
    )


def _miss(scene: ScoredSplit, truth: int) -> GalleryItem:
    table, names = scene.table, scene.dataset.classes
    image = int(table.truth_image[truth])
    rows = np.flatnonzero(table.image == image)
    best = rows[np.argsort(-table.score[rows], kind="stable")][:NEARBY]
    return GalleryItem(
        kind="miss",
        image_path=scene.samples[image].image_path,
        name=image_name(scene.dataset, scene.samples[image]),
        class_name=names[table.truth_label[truth]],
        score=None,
        box_xyxy=_box(table.truth_xyxy[truth]),
        others=tuple((f"{names[table.label[r]]} {table.score[r]:.2f}", _box(table.xyxy[r])) for r in best),
    )


def _box(values: Iterable[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in values)
    return left, top, right, bottom


def write_images_csv(path: Path, scene: ScoredSplit, outcome: Outcome) -> None:
    """Write one row an image: objects, found, missed and false positives at the operating points.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows(_rows(scene, outcome))


def _rows(scene: ScoredSplit, outcome: Outcome) -> Iterator[tuple[object, ...]]:
    table = scene.table
    counted = ~table.is_crowd & scene.scored[table.truth_image, table.truth_label]
    truths = np.bincount(table.truth_image[counted], minlength=table.images)
    found = np.bincount(table.truth_image[counted & outcome.is_found], minlength=table.images)
    wrong = np.bincount(table.image[outcome.rows[outcome.is_wrong]], minlength=table.images)
    for number, sample in enumerate(scene.samples):
        source = scene.dataset.sources[sample.source_id]
        scores = scene.detections[number].scores
        yield (
            image_name(scene.dataset, sample),
            source.name,
            source.modality.value,
            sample.case or "",
            truths[number],
            found[number],
            truths[number] - found[number],
            wrong[number],
            f"{scores.max():.6f}" if len(scores) else "",
        )
