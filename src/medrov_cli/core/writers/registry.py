"""Registry of the output formats of ``medrov detect``, by name in ``--format``.

The help of a row is added to its name in the help of ``--format``, in brackets.
"""

from __future__ import annotations

from medrov_cli.core.base.plugins import Entry

_PACKAGE = "medrov_cli.core.writers"

WRITERS = (
    Entry("jsonl", f"{_PACKAGE}.json_lines", "WRITER", ""),
    Entry("json", f"{_PACKAGE}.json_document", "WRITER", ""),
    Entry("coco", f"{_PACKAGE}.coco_files", "WRITER", ""),
    Entry("csv", f"{_PACKAGE}.csv_table", "WRITER", ""),
    Entry("counts", f"{_PACKAGE}.counts_table", "WRITER", ""),
    Entry("geojson", f"{_PACKAGE}.geojson", "WRITER", "QuPath"),
    Entry("yolo", f"{_PACKAGE}.yolo_labels", "WRITER", ""),
    Entry("png", f"{_PACKAGE}.overlay", "WRITER", "overlays"),
    Entry("html", f"{_PACKAGE}.html_report", "WRITER", "report"),
    Entry("sr", f"{_PACKAGE}.dicom_sr", "WRITER", ""),
    Entry("gsps", f"{_PACKAGE}.dicom_gsps", "WRITER", ""),
    Entry("ann", f"{_PACKAGE}.dicom_ann", "WRITER", "DICOM slides"),
    Entry("seg", f"{_PACKAGE}.dicom_seg", "WRITER", ""),
)
