"""HTML page of the statistics of a dataset, with pictures of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.datasets.source_set import UNSPLIT
from medrov_cli.core.reports.page import write_page
from medrov_cli.core.reports.tables import Column, Table


@dataclass(frozen=True, slots=True)
class ClassPicture:
    """A picture of an object.

    Attributes
    ----------
    uri
        The picture as a ``data:`` address; null where the image cannot be read.
    place, split
        Source and file of the image, and its split.
    """

    uri: str | None
    place: str
    split: str


def write_statistics_html(
    path: Path, statistics: Mapping[str, Any], pictures: Mapping[str, Sequence[ClassPicture]]
) -> None:
    """Write the page; the same values give the same bytes.

    Parameters
    ----------
    path
        The HTML file.
    statistics
        The document ``medrov.data.stats/1``.
    pictures
        Pictures of each class.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    write_page(
        path,
        "statistics.html.j2",
        title=f"Dataset {statistics['name']}",
        statistics=statistics,
        notice=RESEARCH_NOTICE,
        sources=_sources(statistics["sources"]),
        classes=_classes(statistics["sources"]),
        pictures=list(pictures.items()),
    )


def _sources(sources: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        Column("Source"),
        Column("Modality"),
        *_places(sources, "images"),
        Column("Cases"),
        Column("Empty", hint="images without a box"),
        Column("Licence"),
    ]
    rows = [
        [
            own["name"],
            own["modality"],
            *own["images"].values(),
            sum(own["cases"].values()),
            own["images_without_boxes"],
            own["licence"],
        ]
        for own in sources
    ]
    return Table("Images by split", columns, rows)


def _classes(sources: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        Column("Class"),
        Column("Source"),
        *_places(sources, "boxes"),
        Column("Side, px", 1, "median: root of the box's area"),
        Column("Least", 1),
        Column("Greatest", 1),
        Column("Share", 4, "median share of the image's area"),
    ]
    rows = [
        [
            one["class"],
            own["name"],
            *one["boxes"].values(),
            *(one["side_px"][key] for key in ("median", "min", "max")),
            one["median_share_of_image"],
        ]
        for own in sources
        for one in own["classes"]
    ]
    return Table("Boxes by split, and their sizes", columns, rows)


def _places(sources: Sequence[Mapping[str, Any]], hint: str) -> list[Column]:
    """Return a column for each split, and for images without one."""
    places = sources[0]["images"] if sources else ()
    return [Column("No split" if place == UNSPLIT else place.capitalize(), hint=hint) for place in places]
