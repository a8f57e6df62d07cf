"""Statistics of a dataset, and their HTML page with example boxes of each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np

from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.stats import DatasetStats, stats_of
from medrov_cli.core.datasets.box_table import box_table
from medrov_cli.core.datasets.source_set import OpenSource, SourceSet, open_inputs, split_of
from medrov_cli.core.pixels.encode import jpeg_uri
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.records.boxes import box_areas
from medrov_cli.core.reports.pictures import Box, draw_thumbnail
from medrov_cli.core.reports.statistics import ClassPicture, write_statistics_html
from medrov_cli.core.settings.data import StatsSettings

_JPEG_QUALITY = 80

Shown = tuple[OpenSource, int, Box]
"""Source, row of an image, and a box of the image."""


def count_dataset(settings: StatsSettings, progress: Progress = no_progress) -> DatasetStats:
    """Return the statistics of a dataset yaml or of source folders, and write the page on request.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID`` if a source cannot be opened; ``USAGE``; ``OUTPUT_FAILED``.
    """
    opened = open_inputs(settings.inputs, settings.data_root)
    if opened.failures:
        raise opened.failures[0][1]
    stats = stats_of(opened)
    if settings.html is not None:
        write_stats_page(settings.html, opened, stats, settings.per_class, settings.seed, progress)
    return stats


def write_stats_page(
    path: Path,
    opened: SourceSet,
    stats: DatasetStats,
    per_class: int,
    seed: int,
    progress: Progress = no_progress,
) -> None:
    """Write the page; equal datasets and seeds give equal bytes.

    Parameters
    ----------
    per_class
        Number of boxes per class, from its sources in turn.
    seed
        Seed of the selection of boxes.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    names = opened.classes
    pictures = {}
    for done, name in enumerate(names, 1):
        pictures[name] = [_picture(*one) for one in choose(opened.sources, name, per_class, seed)]
        progress(done, len(names), "pictures")
    write_statistics_html(path, stats.as_dict(), pictures)


def choose(sources: Sequence[OpenSource], name: str, count: int, seed: int) -> list[Shown]:
    """Return boxes of a class, drawn at random within each source, from the sources in turn."""
    by_source = []
    for source in sources:
        if name not in source.classes:
            continue
        boxes = box_table(source)
        rows = np.flatnonzero(
            (boxes.label == source.classes.index(name)) & (box_areas(boxes.xyxy) > 0)
        ).tolist()
        drawn = Random(f"{seed}/{source.name}/{name}").sample(rows, min(count, len(rows)))  # noqa: S311
        by_source.append(
            [(source, int(boxes.image[r]), tuple(float(v) for v in boxes.xyxy[r])) for r in drawn]
        )
    turns = [own[turn] for turn in range(count) for own in by_source if turn < len(own)]
    return turns[:count]


def _picture(source: OpenSource, row: int, box: Box) -> ClassPicture:
    image = source.images[row]
    pixels = stored_pixels(source.path_of(image))
    uri = None if pixels is None else jpeg_uri(draw_thumbnail(pixels, box, []), _JPEG_QUALITY)
    return ClassPicture(uri, source.where(image), split_of(image))
