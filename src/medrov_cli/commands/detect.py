"""``medrov detect``: one record of schema ``medrov.detect/1`` for every image or frame.

On stdout: a table on a terminal; in a pipe, JSON lines as they come, or nothing if the results
go to a folder; with ``--json`` one document of schema, summary and records.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer
from rich.text import Text

from medrov_cli import console
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.settings.detect import DetectSettings

if TYPE_CHECKING:
    from medrov_cli.core.detection.summary import DetectionSummary

MAX_TABLE_ROWS = 200
"""Nobody reads a longer table, and memory must not grow with the number of images."""

MAX_NOTES = 10
"""Different warnings, and failed inputs, that are told on stderr; the records have them all."""


class RecordView:
    """Show no record, and say at the end on stderr what a person should know."""

    def __init__(self) -> None:
        self._failures: list[str] = []
        self._warnings: dict[str, str] = {}

    def add(self, record: dict[str, Any]) -> None:
        """Take the next record."""
        if "error" in record:
            if len(self._failures) < MAX_NOTES:
                self._failures.append(f"{record['path']}: {record['error']['message']}")
            return
        for sentence in record["warnings"]:
            if len(self._warnings) < MAX_NOTES:
                self._warnings.setdefault(sentence, record["path"])

    def finish(self, summary: DetectionSummary, folder: Path | None) -> None:
        """Take what came of all."""
        for sentence, path in self._warnings.items():
            console.warn(f"{path}: {sentence}")
        for failure in self._failures:
            console.fail(failure)
        if more := summary.failed - len(self._failures):
            console.note(f"... and {more} more inputs that failed")
        found = sum(summary.detections.values())
        counts = f"{summary.images} image(s), {found} detection(s), {summary.failed} failed input(s)"
        place = "" if folder is None else f"; results in {folder}"
        console.note(counts + ("; stopped at the first failed input" if summary.stopped else place))


class LinesView(RecordView):
    """Show JSON lines, each as soon as its image is done."""

    def add(self, record: dict[str, Any]) -> None:
        """Print the record."""
        from medrov_cli.core.runs.journal import json_line

        super().add(record)
        console.write_data(json_line(record))


class DocumentView(RecordView):
    """Show one JSON document. Until the summary is known, records wait in a file."""

    def __init__(self, spool: IO[str]) -> None:
        super().__init__()
        self._spool = spool

    def add(self, record: dict[str, Any]) -> None:
        """Keep the record."""
        from medrov_cli.core.runs.journal import json_line

        super().add(record)
        self._spool.write(json_line(record))

    def finish(self, summary: DetectionSummary, folder: Path | None) -> None:
        """Print the document."""
        from medrov_cli.core.writers.json_document import document_pieces

        self._spool.seek(0)
        for piece in document_pieces(map(json.loads, self._spool), summary.as_dict()):
            console.write_data(piece)
        super().finish(summary, folder)


class TableView(RecordView):
    """Show a table, grouped by image."""

    def __init__(self) -> None:
        super().__init__()
        self._table = console.table("image", "class", "score", "box (x1 y1 x2 y2)", "size mm")
        for column in self._table.columns[2:]:
            column.justify = "right"
        self._left_out = 0

    def add(self, record: dict[str, Any]) -> None:
        """Add the record's rows."""
        super().add(record)
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

    def finish(self, summary: DetectionSummary, folder: Path | None) -> None:
        """Print the table."""
        console.stdout().print(self._table)
        if self._left_out:
            console.note(f"... and {self._left_out} more rows: use --output DIR or --format jsonl for all")
        super().finish(summary, folder)

    def _row(self, *cells: str | Text) -> None:
        if self._table.row_count < MAX_TABLE_ROWS:
            self._table.add_row(*cells)
        else:
            self._left_out += 1


def detect(settings: DetectSettings) -> None:
    """Detect objects in medical images.

    Without --classes: the vocabulary of the weights, limited to classes of the image's modality.
    """
    from medrov_cli.core.detection.run import run_detection

    with _view(settings) as view:
        # Lines that come one by one on a terminal leave no place for a moving bar.
        quiet = isinstance(view, LinesView) and sys.stdout.isatty()
        with contextlib.nullcontext() if quiet else console.progress("images") as advance:
            summary = run_detection(settings, stdin=sys.stdin, on_record=view.add, on_progress=advance)
        view.finish(summary, settings.output.folder)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


@contextlib.contextmanager
def _view(settings: DetectSettings) -> Iterator[RecordView]:
    """Yield the view that shows the records on stdout."""
    has_folder = settings.output.folder is not None
    wants_lines = not has_folder and "jsonl" in settings.formats
    wants_document = settings.output.as_json or (not has_folder and "json" in settings.formats)
    if wants_lines and wants_document:
        raise usage_error(
            "--format jsonl and --json (or json) both write to stdout", "Give one, or --output."
        )
    if wants_document:
        with tempfile.TemporaryFile("w+", encoding="ascii") as spool:
            yield DocumentView(spool)
    elif wants_lines or (not has_folder and not sys.stdout.isatty()):
        yield LinesView()
    elif sys.stdout.isatty():
        yield TableView()
    else:
        yield RecordView()
