"""Implementations of the output formats, and the files that some of them write for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medrov_cli.core.base.plugins import find_entry, load
from medrov_cli.core.records.detect_json import record_to_detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.protocol import RecordWriter, Writer
from medrov_cli.core.writers.registry import WRITERS


def all_writers() -> list[Writer]:
    """Return the implementations of all formats, in the order of the registry."""
    return [load(entry) for entry in WRITERS]


def find_writer(name: str) -> Writer:
    """Return the implementation of a format.

    Raises
    ------
    ValueError
        For a name that is not in the registry.
    """
    entry = find_entry(WRITERS, name)
    if entry is None:
        raise ValueError(f"unknown format {name!r}")
    writer: Writer = load(entry)
    return writer


def write_pictures(
    folder: Path,
    record: JsonRecord,
    pixels_rgb: UInt8Array,
    classes: Sequence[str],
    names: Mapping[str, Mapping[str, str]],
) -> None:
    """Write the files of one image in the formats that draw on it.

    Parameters
    ----------
    folder
        Output folder.
    record
        Record of the image.
    pixels_rgb
        uint8, (height, width, 3).
    classes
        All classes of the run.
    names
        Names that differ from the paths, by path, for each of these formats; see :class:`OutputFolder`.
    """
    detections = record_to_detections(record, classes)
    path = str(record["path"])
    for name, own in names.items():
        writer = find_writer(name)
        if isinstance(writer, RecordWriter):
            writer.write_record(folder, own.get(path, path), detections, pixels_rgb)
