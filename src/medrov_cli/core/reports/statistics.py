"""The statistics of a dataset as one HTML page, with pictures of each class, that makes no requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import numpy as np

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.curation.stats import PLACES, DatasetStats, SourceStats, stats_of
from medrov_cli.core.datasets.box_table import box_table
from medrov_cli.core.datasets.opened import (
    UNSPLIT,
    Opened,
    OpenSource,
    open_inputs,
    split_of,
)
from medrov_cli.core.pixels.encode import jpeg_uri
from medrov_cli.core.pixels.stored import stored_pixels
from medrov_cli.core.records.boxes import box_areas
from medrov_cli.core.reports.markup import Column, Markup, element, join, section, table
from medrov_cli.core.reports.pictures import Box, draw_thumbnail
from medrov_cli.core.reports.theme import CONTENT_POLICY, SCRIPT, STYLE
from medrov_cli.core.reports.values import number
from medrov_cli.core.settings.data import StatsSettings

_JPEG_QUALITY = 80

Shown = tuple[OpenSource, int, Box]
"""A source, the row of its image, and a box in it."""


def count_dataset(settings: StatsSettings, progress: Progress = no_progress) -> DatasetStats:
    """Return what a dataset yaml or source folders hold, and write the page if it is asked for.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: a source cannot be opened. ``USAGE``, ``OUTPUT_FAILED``.
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
    opened: Opened,
    stats: DatasetStats,
    per_class: int = 8,
    seed: int = 0,
    progress: Progress = no_progress,
) -> None:
    """Write the page; the same dataset and seed give the same bytes.

    Parameters
    ----------
    per_class
        Pictures of each class, from its sources in turn.
    seed
        Of the choice of boxes.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    names = opened.classes
    wall = []
    for done, name in enumerate(names, 1):
        wall.append(_class_part(name, choose(opened.sources, name, per_class, seed)))
        progress(done, len(names), "pictures")
    page = _page(stats, wall)
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def choose(sources: Sequence[OpenSource], name: str, count: int, seed: int) -> list[Shown]:
    """Return some boxes of a class: drawn at random within each source, the sources taking turns."""
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


def _page(stats: DatasetStats, wall: Sequence[Markup]) -> str:
    title = f"Dataset {stats.name}"
    summary = (
        f"{number(stats.images)} images, {number(stats.boxes)} boxes, {number(len(stats.classes))} classes, "
        f"{number(len(stats.sources))} sources"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=CONTENT_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("link", rel="icon", href="data:,"),
        element("style", Markup(STYLE)),
    )
    header = element(
        "header", element("h1", title), element("p", summary), element("p", RESEARCH_NOTICE, class_="notice")
    )
    parts = [
        section("sources", "Sources", _sources(stats.sources)),
        section("classes", "Classes", _classes(stats.sources)),
        section("pictures", "Pictures", *wall),
    ]
    body = element("body", header, element("main", parts), element("script", Markup(SCRIPT)))
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _sources(sources: Iterable[SourceStats]) -> Markup:
    columns = [
        Column("Source"),
        Column("Modality"),
        *(Column(_title(place), hint="images") for place in PLACES),
        Column("Cases"),
        Column("Empty", hint="images without a box"),
        Column("Licence"),
    ]
    rows = [
        [
            own.name,
            own.modality,
            *(own.images[place] for place in PLACES),
            sum(own.cases.values()),
            own.empty,
            own.licence,
        ]
        for own in sources
    ]
    return table("Images by split", columns, rows)


def _classes(sources: Iterable[SourceStats]) -> Markup:
    columns = [
        Column("Class"),
        Column("Source"),
        *(Column(_title(place), hint="boxes") for place in PLACES),
        Column("Side, px", 1, "median: root of the box's area"),
        Column("Least", 1),
        Column("Greatest", 1),
        Column("Share", 4, "median share of the image's area"),
    ]
    rows = [
        [c.name, own.name, *(c.boxes[place] for place in PLACES), *_sizes(c.side_px), c.share]
        for own in sources
        for c in own.classes
    ]
    return table("Boxes by split, and their sizes", columns, rows)


def _sizes(side_px: tuple[float, float, float] | None) -> tuple[float | None, ...]:
    low, middle, high = side_px or (None, None, None)
    return middle, low, high


def _title(place: str) -> str:
    return "No split" if place == UNSPLIT else place.capitalize()


def _class_part(name: str, shown: Sequence[Shown]) -> Markup:
    if not shown:
        return join(element("h3", name), element("p", "no boxes", class_="empty"))
    items = [element("li", _picture(name, *one)) for one in shown]
    return join(element("h3", name), element("ul", items, class_="gallery"))


def _picture(name: str, source: OpenSource, row: int, box: Box) -> Markup:
    image = source.images[row]
    where = source.where(image)
    caption = element("figcaption", join(element("strong", name), where, split_of(image), between=" "))
    pixels = stored_pixels(source.path_of(image))
    if pixels is None:
        alt = f"{name} in {where}"
        shown = element("div", "image not readable", class_="placeholder", role="img", aria_label=alt)
        return element("figure", shown, caption)
    uri = jpeg_uri(draw_thumbnail(pixels, box, []), _JPEG_QUALITY)
    return element("figure", element("img", src=uri, alt=f"{name} in {where}"), caption)
