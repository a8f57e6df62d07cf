"""Counts and densities as CSV: one row per image and class."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medrov_cli.core.base.csv_cells import plain_cells
from medrov_cli.core.base.files import open_text, whole_file
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

COUNTS_FILE = "counts.csv"

COLUMNS = ("path", "frame", "class", "count", "searched_mm2", "per_mm2", "coverage", "error")
"""Columns. ``searched_mm2`` is the searched area: the region without glass. Unknown fields are empty."""

_DIGITS = 4


class CountsWriter:
    """Writer of one CSV file."""

    name = "counts"
    needs_folder = True
    files = (COUNTS_FILE,)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the table."""
        with (
            whole_file(folder / COUNTS_FILE) as temporary,
            open_text(temporary, newline="") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for record in records():
                writer.writerows(map(plain_cells, _rows(record, run)))


def _rows(record: JsonRecord, run: RunFacts) -> Iterator[list[Any]]:
    """Yield a row for each class that was found, in the order of the run; else one without a class."""
    if "error" in record:
        yield [record["path"], *[None] * (len(COLUMNS) - 2), record["error"]["code"]]
        return
    area_mm2, coverage = searched_area_mm2(record)
    counts = Counter(found["class"] for found in record["detections"])
    shown: list[str | None] = [name for name in run.classes if counts[name]]
    for name in shown or [None]:
        count = 0 if name is None else counts[name]
        density = None if area_mm2 is None else round(count / area_mm2, _DIGITS)
        shown_area = None if area_mm2 is None else round(area_mm2, 6)
        yield [record["path"], record["frame"], name, count, shown_area, density, coverage, None]


def searched_area_mm2(record: JsonRecord) -> tuple[float | None, float]:
    """Return the searched area of an image, null without a pixel size, and its share of the region."""
    width, height, coverage = record["width"], record["height"], 1.0
    if "tiling" in record:
        _, _, width, height = record["tiling"]["region"]
        coverage = record["tiling"]["coverage"]
    spacing_mm = record["pixel_spacing_mm"]
    if spacing_mm is None or not coverage:
        return None, coverage
    return width * height * spacing_mm[0] * spacing_mm[1] * coverage, coverage


WRITER: Writer = CountsWriter()
