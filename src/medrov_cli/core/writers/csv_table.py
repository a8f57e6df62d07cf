"""Detections as CSV: one row per detection, image without detections, or failed input; findings as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.base.csv_cells import plain_cells
from medrov_cli.core.base.files import open_text, whole_file
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.findings_file import FINDINGS_CSV_FILE
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

CSV_FILE = "detections.csv"

COLUMNS = (
    "path", "frame", "image_width", "image_height", "modality",
    "class", "score", "x1", "y1", "x2", "y2", "width_mm", "height_mm", "error",
)  # fmt: skip
"""Columns; boxes are in source pixels, and unknown fields are empty."""


FINDING_COLUMNS = (
    "path", "volume", "kind", "modality", "class", "score", "first_slice", "last_slice", "key_slice",
    *(f"{axis}{end}_voxels" for end in (1, 2) for axis in "xyz"),
    *(f"{axis}{end}_mm" for end in (1, 2) for axis in "xyz"), *(f"center_{axis}_mm" for axis in "xyz"),
    "extent_rows_mm", "extent_columns_mm", "extent_slices_mm", "diameter_mm", "diameter_slice", "volume_mm3",
    "start_seconds", "end_seconds", "detections", "refusal",
)  # fmt: skip
"""Columns of findings: a row per finding, per volume without findings; coordinates in mm are LPS."""

PLANES_COLUMN = "planes"
"""Further column of a search in several planes: the planes that have the finding, separated by spaces."""


class CsvWriter:
    """Writer of a CSV file of detections and, if there are volumes, one of findings."""

    name = "csv"
    needs_folder = True
    files = (CSV_FILE, FINDINGS_CSV_FILE)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the tables."""
        write_csv(folder / CSV_FILE, records())
        if any(True for _ in run.volumes()):
            has_planes = any("planes" in record for record in run.volumes())
            columns = (*FINDING_COLUMNS, PLANES_COLUMN) if has_planes else FINDING_COLUMNS
            rows = (row for record in run.volumes() for row in _finding_rows(record, has_planes=has_planes))
            _write_table(folder / FINDINGS_CSV_FILE, columns, rows)


def write_csv(path: Path, records: Iterable[JsonRecord]) -> None:
    """Write records as CSV (RFC 4180, UTF-8, one header row); texts are no formulas (see `plain_cell`).

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    _write_table(path, COLUMNS, (row for record in records for row in _rows(record)))


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with (
        whole_file(path) as temporary,
        open_text(temporary, newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(map(plain_cells, rows))


def _finding_rows(record: JsonRecord, *, has_planes: bool) -> Iterator[list[Any]]:
    """Yield the rows of one volume; null becomes an empty field."""
    volume = [record[key] for key in ("path", "volume", "kind", "modality")]
    for found in record["findings"]:
        yield [
            *volume,
            *(found[key] for key in ("class", "score", "first_slice", "last_slice", "key_slice")),
            *found["box_voxels"],
            *(found["box_mm"] or [None] * 6),
            *(found["center_mm"] or [None] * 3),
            *(found["extent_mm"] or [None] * 3),
            *(found[key] for key in ("diameter_mm", "diameter_slice", "volume_mm3")),
            *(found["seconds"] or [None] * 2),
            len(found["members"]),
            None,
            *([" ".join(vote["plane"] for vote in found.get("votes", ()))] if has_planes else ()),
        ]
    if not record["findings"]:
        empty = [None] * (len(FINDING_COLUMNS) - len(volume) - 1)
        yield [*volume, *empty, record["refusal"], *([None] if has_planes else ())]


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
