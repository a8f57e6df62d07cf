"""Formats that ``medrov data export`` writes, by the name that ``--to`` takes."""

from __future__ import annotations

from medrov_cli.core.base.plugins import Entry

_PACKAGE = "medrov_cli.core.datasets.writers"

WRITERS = (
    Entry("coco", f"{_PACKAGE}.coco", "WRITER", "COCO instances"),
    Entry("yolo", f"{_PACKAGE}.yolo", "WRITER", "YOLO layout of ultralytics"),
    Entry("voc", f"{_PACKAGE}.voc", "WRITER", "Pascal VOC"),
    Entry("label-studio", f"{_PACKAGE}.label_studio", "WRITER", "Tasks for Label Studio"),
    Entry("cvat", f"{_PACKAGE}.cvat", "WRITER", "CVAT for images 1.1"),
)
