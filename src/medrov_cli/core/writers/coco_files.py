"""Detections in COCO's two forms: a dataset document, and the list that ``loadRes`` takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

DATASET_FILE = "detections.coco.json"
RESULTS_FILE = "detections.coco-results.json"


class CocoWriter:
    """Write a COCO dataset, and COCO results with its image ids."""

    name = "coco"
    needs_folder = True
    files = (DATASET_FILE, RESULTS_FILE)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write both files."""
        write_coco_dataset(folder / DATASET_FILE, records, run.classes)
        write_coco_results(folder / RESULTS_FILE, records, run.classes)


def write_coco_results(path: Path, records: Records, classes: Sequence[str]) -> None:
    """Write detections as COCO results: ``image_id``, ``category_id``, ``bbox``, ``score``.

    Image ids are those of :func:`write_coco_dataset`; boxes are xywh in source pixels.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="ascii") as stream:
        stream.write("[\n")
        stream.writelines(_joined(_results(records(), classes)))
        stream.write("\n]\n")


def write_coco_dataset(path: Path, records: Records, classes: Sequence[str]) -> None:
    """Write images, categories and detections as a COCO dataset that ``pycocotools.COCO`` opens.

    Image and category ids count from 1 in the order of the records and of ``classes``. An
    image is one frame: ``file_name`` is the input as given, ``frame`` its 0-based number.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    categories = [{"id": number, "name": name} for number, name in enumerate(classes, 1)]
    with whole_file(path) as temporary, temporary.open("w", encoding="ascii") as stream:
        info = json.dumps({"description": f"Detections by medrov. {RESEARCH_NOTICE}"})
        stream.write(f'{{"info": {info},\n"categories": {json.dumps(categories)},\n"images": [\n')
        stream.writelines(_joined(_images(records())))
        stream.write('\n],\n"annotations": [\n')
        annotations = (
            {"id": number, **result, "area": _area(result), "iscrowd": 0}
            for number, result in enumerate(_results(records(), classes), 1)
        )
        stream.writelines(_joined(annotations))
        stream.write("\n]}\n")


def _frames(records: Iterable[JsonRecord]) -> Iterator[tuple[int, JsonRecord]]:
    """Yield the image id and record of every image that was read."""
    return enumerate((record for record in records if "error" not in record), 1)


def _images(records: Iterable[JsonRecord]) -> Iterator[dict[str, Any]]:
    for image_id, record in _frames(records):
        yield {
            "id": image_id,
            "file_name": record["path"],
            "frame": record["frame"],
            "width": record["width"],
            "height": record["height"],
        }


def _results(records: Iterable[JsonRecord], classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    category_ids = {name: number for number, name in enumerate(classes, 1)}
    for image_id, record in _frames(records):
        for found in record["detections"]:
            x1, y1, x2, y2 = found["box_xyxy"]
            yield {
                "image_id": image_id,
                "category_id": category_ids[found["class"]],
                "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
                "score": found["score"],
            }


def _area(result: dict[str, Any]) -> float:
    return round(float(result["bbox"][2] * result["bbox"][3]), 2)


def _joined(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the elements of a JSON list, one a line, with commas between them."""
    for number, item in enumerate(items):
        yield (",\n" if number else "") + json.dumps(item, allow_nan=False)


WRITER: Writer = CocoWriter()
