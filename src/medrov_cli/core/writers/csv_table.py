"""Detections as CSV: one row each, and one row for an image without any or an input that failed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

CSV_FILE = "detections.csv"

COLUMNS = (
    "path", "frame", "image_width", "image_height", "modality",
    "class", "score", "x1", "y1", "x2", "y2", "width_mm", "height_mm", "error",
)  # fmt: skip
"""Boxes are in source pixels; a field that is not known is empty."""


class CsvWriter:
    """Write one CSV file."""

    name = "csv"
    needs_folder = True
    files = (CSV_FILE,)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:  # noqa: ARG002
        """Write the table."""
        write_csv(folder / CSV_FILE, records())


def write_csv(path: Path, records: Iterable[JsonRecord]) -> None:
    """Write records as CSV (RFC 4180, UTF-8, one header row).

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with (
        whole_file(path) as temporary,
        # A path may hold bytes that are not UTF-8: they are escaped, not refused.
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for record in records:
            writer.writerows(_rows(record))


def _rows(record: JsonRecord) -> Iterator[list[Any]]:
    """Yield the rows of one record; null becomes an empty field."""
    if "error" in record:
        yield [record["path"], *[None] * (len(COLUMNS) - 2), record["error"]["code"]]
        return
    image = [record[key] for key in ("path", "frame", "width", "height", "modality")]
    for found in record["detections"]:
        size_mm = found["size_mm"] or (None, None)
        yield [*image, found["class"], found["score"], *found["box_xyxy"], *size_mm, None]
    if not record["detections"]:
        yield [*image, *[None] * (len(COLUMNS) - len(image))]


WRITER: Writer = CsvWriter()
