"""Views of the records of ``medrov detect`` on stdout: lines, a document, tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from rich.text import Text

from medrov_cli import console

if TYPE_CHECKING:
    from medrov_cli.core.detection.summary import DetectionSummary

FINDINGS_SCHEMA = "medrov.findings/1"
"""Schema of the record of a volume; the module that defines it imports numpy."""

MAX_TABLE_ROWS = 200
"""Maximum number of rows of the table, so that memory does not grow with the number of images."""

MAX_NOTES = 10
"""Maximum number of different warnings and of failed inputs on stderr; the records have all."""


MAX_SKIPPED = 20
"""Skipped files that are named on stderr; the JSON summary has them all."""


class RecordView:
    """View without records: warnings, failed inputs and a summary on stderr."""

    def __init__(self) -> None:
        self._failures: list[str] = []
        self._warnings: dict[str, str] = {}

    def add(self, record: dict[str, Any]) -> None:
        """Add the next record."""
        if "error" in record:
            if len(self._failures) < MAX_NOTES:
                self._failures.append(f"{record['path']}: {record['error']['message']}")
            return
        for sentence in record["warnings"]:
            if len(self._warnings) < MAX_NOTES:
                self._warnings.setdefault(sentence, record["path"])

    def finish(self, summary: DetectionSummary, place: str | None) -> None:
        """Print warnings, failed inputs and the summary."""
        for sentence, path in self._warnings.items():
            console.warn(f"{path}: {sentence}")
        for failure in self._failures:
            console.fail(failure)
        if more := summary.failed - len(self._failures):
            console.note(f"... and {more} more inputs that failed")
        for file in summary.skipped[:MAX_SKIPPED]:
            console.note(f"{file.path}: skipped, {file.reason}")
        if (left := len(summary.skipped) - MAX_SKIPPED) > 0:
            console.note(f"... and {left} more skipped files: --json lists them")
        for item in summary.left_out[:MAX_SKIPPED]:
            console.warn(f"{item.path}: not in --format {item.format}, {item.reason}")
        if (left := len(summary.left_out) - MAX_SKIPPED) > 0:
            console.note(f"... and {left} more images that a format cannot contain: --json lists them")
        found = sum(summary.detections.values())
        counts = f"{summary.images} image(s), {found} detection(s), {summary.failed} failed input(s)"
        if summary.volumes:
            counts += f"; {summary.volumes} volume(s), {summary.findings} finding(s)"
        where = "" if place is None else f"; results in {place}"
        console.note(counts + ("; stopped at the first failed input" if summary.stopped else where))


class LinesView(RecordView):
    """View of JSON lines, each printed as soon as its image is processed."""

    def add(self, record: dict[str, Any]) -> None:
        """Print the record."""
        from medrov_cli.core.runs.journal import json_line

        super().add(record)
        console.write_data(json_line(record))


class DocumentView(RecordView):
    """View of one JSON document; records are stored in a temporary file until the end."""

    def __init__(self, spool: IO[str], volumes: IO[str]) -> None:
        super().__init__()
        self._spool = spool
        self._volumes = volumes

    def add(self, record: dict[str, Any]) -> None:
        """Keep the record."""
        from medrov_cli.core.runs.journal import json_line

        super().add(record)
        spool = self._volumes if record["schema"] == FINDINGS_SCHEMA else self._spool
        spool.write(json_line(record))

    def finish(self, summary: DetectionSummary, place: str | None) -> None:
        """Print the document."""
        from medrov_cli.core.writers.json_document import document_pieces

        self._spool.seek(0)
        self._volumes.seek(0)
        records, volumes = (map(json.loads, spool) for spool in (self._spool, self._volumes))
        try:
            for piece in document_pieces(records, summary.as_dict(), volumes):
                console.write_data(piece)
        except BrokenPipeError:
            if place is None:
                raise
            console.discard(sys.stdout)  # the folder has the results
        super().finish(summary, place)


class TableView(RecordView):
    """View of a table, grouped by image."""

    def __init__(self) -> None:
        super().__init__()
        self._table = console.table("image", "class", "score", "box (x1 y1 x2 y2)", "size mm")
        for column in self._table.columns[2:]:
            column.justify = "right"
        self._left_out = 0

    def add(self, record: dict[str, Any]) -> None:
        """Add the record's rows."""
        super().add(record)
        if record["schema"] != FINDINGS_SCHEMA:
            self._add_rows(record)

    def _add_rows(self, record: dict[str, Any]) -> None:
        name = record["path"]
        if "error" in record:
            self._row(name, Text(record["error"]["code"], style="red"), "", "", "")
            return
        if record["frame_count"] != 1:
            name += f" #{record['frame']}"
        if not record["detections"]:
            self._row(name, Text("nothing found", style="dim"), "", "", "")
        for found in record["detections"]:
            box = " ".join(f"{value:.0f}" for value in found["box_xyxy"])
            size = " x ".join(f"{value:.1f}" for value in found["size_mm"] or ())
            self._row(name, found["class"], f"{found['score']:.2f}", box, size)
            name = ""

    def finish(self, summary: DetectionSummary, place: str | None) -> None:
        """Print the table."""
        console.stdout().print(self._table)
        if self._left_out:
            console.note(f"... and {self._left_out} more rows: use --output DIR or --format jsonl for all")
        super().finish(summary, place)

    def _row(self, *cells: str | Text) -> None:
        if self._table.row_count < MAX_TABLE_ROWS:
            self._table.add_row(*cells)
        else:
            self._left_out += 1


class FindingsView(TableView):
    """View of a table with the findings of volumes, and the detections of other images."""

    def __init__(self) -> None:
        super().__init__()
        self._findings = console.table(
            "volume", "class", "score", "slices", "key", "center LPS mm", "size mm", "longest mm"
        )
        for column in self._findings.columns[2:]:
            column.justify = "right"
        self._left_out_findings = 0
        self._key: str | None = None
        self._held: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any]) -> None:
        """Add a volume's rows; hold images that may be its slices, up to the maximum of rows."""
        RecordView.add(self, record)
        if record["schema"] == FINDINGS_SCHEMA:
            self._held.clear()
            self._add_volume(record)
            return
        key = _slice_key(record)
        if key is None or key != self._key:
            self._release()
        self._key = key
        if key is None:
            self._add_rows(record)
        elif len(self._held) < MAX_TABLE_ROWS:
            self._held.append(record)
        else:
            self._left_out += max(len(record["detections"]), 1)

    def finish(self, summary: DetectionSummary, place: str | None) -> None:
        """Print the tables."""
        self._release()
        if summary.volumes:
            console.stdout().print(self._findings)
        if self._left_out_findings:
            console.note(f"... and {self._left_out_findings} more findings: use --output DIR for all")
        if self._table.row_count or not summary.volumes:
            super().finish(summary, place)
        else:
            RecordView.finish(self, summary, place)

    def _release(self) -> None:
        """Add the rows of held images, which are no volume."""
        for record in self._held:
            self._add_rows(record)
        self._held.clear()

    def _add_volume(self, record: dict[str, Any]) -> None:
        name = record["path"]
        if record["volume_count"] > 1:
            name += f" #{record['volume']}"
        if not record["findings"]:
            reason = record["refusal"] or "nothing found"
            self._finding_row(name, Text(reason, style="dim"), "", "", "", "", "", "")
        for found in record["findings"]:
            self._finding_row(name, *_finding_cells(found))
            name = ""

    def _finding_row(self, *cells: str | Text) -> None:
        if self._findings.row_count < MAX_TABLE_ROWS:
            self._findings.add_row(*cells)
        else:
            self._left_out_findings += 1


def _slice_key(record: dict[str, Any]) -> str | None:
    """Return the series or the file that an image may be a slice of; null for a single image."""
    if "error" in record:
        return None
    if record["frame_count"] != 1:
        return str(record["path"])
    uid = record["series_uid"]
    return None if uid is None else str(uid)


def _finding_cells(found: dict[str, Any]) -> Iterator[str]:
    """Yield the cells of a finding, after the name of its volume."""
    yield found["class"]
    yield f"{found['score']:.2f}"
    yield f"{found['first_slice']}-{found['last_slice']}"
    yield str(found["key_slice"])
    if found["seconds"] is not None:
        yield " - ".join(f"{value:.2f} s" for value in found["seconds"])
    else:
        yield " ".join(f"{value:.1f}" for value in found["center_mm"] or ())
    yield " x ".join(f"{value:.1f}" for value in found["extent_mm"] or ())
    yield "" if found["diameter_mm"] is None else f"{found['diameter_mm']:.1f}"
