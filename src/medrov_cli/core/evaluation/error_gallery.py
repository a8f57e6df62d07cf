"""Errors at the operating points: the gallery of the report, and a table with one row per image."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from medrov_cli.core.base.csv_cells import plain_cells
from medrov_cli.core.base.files import open_text, whole_file
from medrov_cli.core.datasets.prediction_images import image_name
from medrov_cli.core.datasets.slides.region_samples import RegionSample
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.metrics.error_analysis import Outcome
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.reports.pictures import GalleryItem

GALLERY = 24
"""Largest number of pictures of each kind."""

NEARBY = 5
"""Largest number of detections that are drawn beside a miss."""

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


def gallery_of(split: ScoredSplit, outcome: Outcome) -> list[GalleryItem]:
    """Return the false positives with the highest scores, and the largest misses.

    The classes alternate, so that a class with many small objects does not fill the page.
    """
    table = split.table
    wrong = outcome.rows[outcome.is_wrong]
    wrong = wrong[np.argsort(-table.score[wrong], kind="stable")]
    scored = split.scored[table.truth_image, table.truth_label]
    missed = np.flatnonzero(~outcome.is_found & ~table.is_crowd & scored)
    missed = missed[np.argsort(-table.truth_area[missed], kind="stable")]
    items = [_false_positive(split, int(row)) for row in _in_turn(wrong, table.label)]
    return items + [_miss(split, int(row)) for row in _in_turn(missed, table.truth_label)]


def _in_turn(rows: IntArray, label: IntArray) -> list[int]:
    """Return the first row of each class, then the second row of each class, and so on."""
    classes = dict.fromkeys(label[rows].tolist())
    by_class = [rows[label[rows] == own][:GALLERY].tolist() for own in classes]
    turns = chain.from_iterable(zip_longest(*by_class))
    return [row for row in turns if row is not None][:GALLERY]


def _false_positive(split: ScoredSplit, row: int) -> GalleryItem:
    table, names = split.table, split.dataset.classes
    image = int(table.image[row])
    truths = np.flatnonzero(table.truth_image == image)
    return GalleryItem(
        kind="false positive",
        image_path=split.samples[image].image_path,
        read=_reader(split.samples[image]),
        name=image_name(split.dataset, split.samples[image]),
        class_name=names[table.label[row]],
        score=float(table.score[row]),
        box_xyxy=_box(table.xyxy[row]),
        others=tuple((names[table.truth_label[t]], _box(table.truth_xyxy[t])) for t in truths),
    )


def _miss(split: ScoredSplit, truth: int) -> GalleryItem:
    table, names = split.table, split.dataset.classes
    image = int(table.truth_image[truth])
    rows = np.flatnonzero(table.image == image)
    best = rows[np.argsort(-table.score[rows], kind="stable")][:NEARBY]
    return GalleryItem(
        kind="miss",
        image_path=split.samples[image].image_path,
        read=_reader(split.samples[image]),
        name=image_name(split.dataset, split.samples[image]),
        class_name=names[table.truth_label[truth]],
        score=None,
        box_xyxy=_box(table.truth_xyxy[truth]),
        others=tuple((f"{names[table.label[r]]} {table.score[r]:.2f}", _box(table.xyxy[r])) for r in best),
    )


def _reader(sample: Sample) -> Callable[[], UInt8Array] | None:
    """Return the function that reads a region of a slide; null for an image, which is a file."""
    return sample.read_pixels if isinstance(sample, RegionSample) else None


def _box(values: Iterable[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in values)
    return left, top, right, bottom


def write_images_csv(path: Path, split: ScoredSplit, outcome: Outcome) -> None:
    """Write one row per image: objects, found, missed and false positives at the operating points.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, open_text(temporary, newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows(map(plain_cells, _rows(split, outcome)))


def _rows(split: ScoredSplit, outcome: Outcome) -> Iterator[tuple[object, ...]]:
    table = split.table
    counted = ~table.is_crowd & split.scored[table.truth_image, table.truth_label]
    truths = np.bincount(table.truth_image[counted], minlength=table.images)
    found = np.bincount(table.truth_image[counted & outcome.is_found], minlength=table.images)
    wrong = np.bincount(table.image[outcome.rows[outcome.is_wrong]], minlength=table.images)
    for number, sample in enumerate(split.samples):
        source = split.dataset.sources[sample.source_id]
        scores = split.detections[number].scores
        yield (
            image_name(split.dataset, sample),
            source.name,
            source.modality.value,
            sample.case or "",
            truths[number],
            found[number],
            truths[number] - found[number],
            wrong[number],
            f"{scores.max():.6f}" if len(scores) else "",
        )
