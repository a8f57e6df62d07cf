"""Detections in YOLO's text format: one label file per image, and one file with the class names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.naming import distinct_names, output_path, without_suffix
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

YOLO_FOLDER = "yolo"
LABELS_FOLDER = "labels"

NAMES_FILE = "classes.txt"
"""File with one class name per line; the 0-based line number is the class index."""

_SUFFIX = ".txt"
_DIGITS = 6  # less than 0.01 pixels in images of up to 10,000 pixels


class YoloWriter:
    """Writer of a folder of label files."""

    name = "yolo"
    needs_folder = True
    files = (f"{YOLO_FOLDER}/{NAMES_FILE}", f"{YOLO_FOLDER}/{LABELS_FOLDER}/**/*{_SUFFIX}")

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the folder."""
        write_yolo(folder / YOLO_FOLDER, records, run.classes)


def write_yolo(folder: Path, records: Records, classes: Sequence[str]) -> None:
    """Write ``classes.txt`` and a label file for every image, below ``labels/``.

    A line is ``class_index center_x center_y width height score``, with lengths as fractions of the image's
    width and height. A label file has the name of the image with ``.txt`` instead of its suffix, as trainers
    expect; images that differ by their suffix only keep it. Other images whose files would collide have names
    of :func:`medrov_cli.core.writers.naming.distinct_names`.

    Parameters
    ----------
    folder
        Output folder.
    records
        Function that returns the records; called twice.
    classes
        Names in the order of their indices.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    index_of = {name: index for index, name in enumerate(classes)}
    paths = {record["path"] for record in records() if "error" not in record}
    names = distinct_names(paths, _SUFFIX, is_short=True)
    with whole_file(folder / NAMES_FILE) as temporary:
        temporary.write_text(
            "".join(f"{name}\n" for name in classes), encoding="utf-8", errors="backslashreplace"
        )
    for record in records():
        if "error" in record:
            continue
        path = record["path"]
        name = names.get(path) or without_suffix(path)
        target = output_path(folder / LABELS_FOLDER, name, record["frame"], record["frame_count"], _SUFFIX)
        with whole_file(target) as temporary:
            temporary.write_text("".join(_lines(record, index_of)), encoding="ascii")


def _lines(record: JsonRecord, index_of: dict[str, int]) -> Iterator[str]:
    width, height = record["width"], record["height"]
    for found in record["detections"]:
        x1, y1, x2, y2 = found["box_xyxy"]
        numbers = (
            (x1 + x2) / 2 / width,
            (y1 + y2) / 2 / height,
            (x2 - x1) / width,
            (y2 - y1) / height,
            found["score"],
        )
        yield " ".join([str(index_of[found["class"]]), *(f"{n:.{_DIGITS}f}" for n in numbers)]) + "\n"


WRITER: Writer = YoloWriter()
