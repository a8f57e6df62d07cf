"""Output formats of ``medrov detect``, by the name that ``--format`` takes.

The help of a row is what the help of ``--format`` adds to the name, in brackets.
"""

from __future__ import annotations

from medrov_cli.core.base.plugins import Entry

_PACKAGE = "medrov_cli.core.writers"

WRITERS = (
    Entry("jsonl", f"{_PACKAGE}.json_lines", "WRITER", ""),
    Entry("json", f"{_PACKAGE}.json_document", "WRITER", ""),
    Entry("coco", f"{_PACKAGE}.coco_files", "WRITER", ""),
    Entry("csv", f"{_PACKAGE}.csv_table", "WRITER", ""),
    Entry("yolo", f"{_PACKAGE}.yolo_labels", "WRITER", ""),
    Entry("png", f"{_PACKAGE}.overlay", "WRITER", "overlays"),
)
