"""Detections in YOLO's text form: one label file an image, and one file with the class names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.naming import output_path
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

YOLO_FOLDER = "yolo"

NAMES_FILE = "classes.txt"
"""One class name a line; the line number from 0 is the class index."""

_DIGITS = 6  # below a hundredth of a pixel in images of up to 10,000 pixels


class YoloWriter:
    """Write a folder of label files."""

    name = "yolo"
    needs_folder = True
    files = (YOLO_FOLDER,)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the folder."""
        write_yolo(folder / YOLO_FOLDER, records, run.classes)


def write_yolo(folder: Path, records: Records, classes: Sequence[str]) -> None:
    """Write ``classes.txt`` and a label file for every image, below ``labels/``.

    A line is ``class_index center_x center_y width height score``, lengths as parts of the
    image's width and height. A label file has the image's name with ``.txt`` in place of its
    suffix, as trainers expect it; images that differ by their suffix alone keep it.

    Parameters
    ----------
    folder
        Where to write.
    records
        The records; called twice.
    classes
        Names in the order of their indices.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    index_of = {name: index for index, name in enumerate(classes)}
    paths = {record["path"] for record in records() if "error" not in record}
    # A name is free if no other path has it, with or without its suffix.
    taken = Counter(name for path in paths for name in {path, _without_suffix(path)})
    with whole_file(folder / NAMES_FILE) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    for record in records():
        if "error" in record:
            continue
        path = record["path"]
        name = _without_suffix(path) if taken[_without_suffix(path)] == 1 else path
        target = output_path(folder / "labels", name, record["frame"], record["frame_count"], ".txt")
        with whole_file(target) as temporary:
            temporary.write_text("".join(_lines(record, index_of)), encoding="ascii")


def _without_suffix(path: str) -> str:
    return str(Path(path).with_suffix(""))


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
