"""``medrov detect``: one record of schema ``medrov.detect/1`` for every image or frame.

After the slices of a volume follows its record of schema ``medrov.findings/1``. On stdout: tables on a
terminal; in a pipe, JSON lines as they are computed, or nothing if the results are written to a folder; with
``--json`` one document of schema, summary and records.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator

import typer

from medrov_cli import console
from medrov_cli.commands.detection_views import (
    DocumentView,
    FindingsView,
    LinesView,
    RecordView,
    TableView,
)
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.fast_imports import without_collection
from medrov_cli.core.settings.detect import DetectSettings


def detect(settings: DetectSettings) -> None:
    """Detect objects in medical images.

    Without --classes: the vocabulary of the weights, limited to classes of the image's modality.
    """
    with without_collection(freeze=True):
        from medrov_cli.core.detection.run import run_detection

    with _view(settings) as view:
        # Lines on a terminal would interrupt a moving bar.
        quiet = isinstance(view, LinesView) and sys.stdout.isatty()
        with contextlib.nullcontext() if quiet else console.progress("images") as advance:
            summary = run_detection(settings, stdin=sys.stdin, on_record=view.add, on_progress=advance)
        view.finish(summary, settings.output.place)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


@contextlib.contextmanager
def _view(settings: DetectSettings) -> Iterator[RecordView]:
    """Yield the view of the records on stdout."""
    has_folder = settings.output.folder is not None
    wants_lines = not has_folder and "jsonl" in settings.formats
    wants_document = settings.output.as_json or (not has_folder and "json" in settings.formats)
    if wants_lines and wants_document:
        raise usage_error(
            "--format jsonl and --json (or json) both write to stdout", "Give one, or --output."
        )
    if wants_document:
        with (
            tempfile.TemporaryFile("w+", encoding="ascii") as spool,
            tempfile.TemporaryFile("w+", encoding="ascii") as volumes,
        ):
            yield DocumentView(spool, volumes)
    elif wants_lines or (not has_folder and not sys.stdout.isatty()):
        yield LinesView()
    elif sys.stdout.isatty():
        yield TableView() if settings.per_slice else FindingsView()
    else:
        yield RecordView()
