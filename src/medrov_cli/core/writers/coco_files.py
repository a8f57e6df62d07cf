"""Detections in both COCO formats: a dataset document, and the result list of ``loadRes``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.datasets.coco import Layout, write_document, write_results
from medrov_cli.core.datasets.coco_records import CocoImage, numbered_categories
from medrov_cli.core.datasets.coco_result import CocoResult
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

DATASET_FILE = "detections.coco.json"
RESULTS_FILE = "detections.coco-results.json"


class CocoWriter:
    """Writer of a COCO dataset, and of COCO results with its image ids."""

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
    write_results(path, _results(records(), classes))


def write_coco_dataset(path: Path, records: Records, classes: Sequence[str]) -> None:
    """Write images, categories and detections as a COCO dataset that ``pycocotools.COCO`` opens.

    Image and category ids count from 1 in the order of the records and of ``classes``. An
    image is one frame: ``file_name`` is the input as given, ``frame`` its 0-based number.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    parts = {
        "info": {"description": f"Detections by medrov. {RESEARCH_NOTICE}"},
        "categories": numbered_categories(classes),
        "images": _images(records()),
        "annotations": (
            result.as_annotation(number, _area(result))
            for number, result in enumerate(_results(records(), classes), 1)
        ),
    }
    write_document(path, parts, layout=Layout.RECORD_PER_LINE, ascii_only=True)


def _frames(records: Iterable[JsonRecord]) -> Iterator[tuple[int, JsonRecord]]:
    """Yield the image id and record of every image."""
    return enumerate((record for record in records if "error" not in record), 1)


def _images(records: Iterable[JsonRecord]) -> Iterator[CocoImage]:
    for image_id, record in _frames(records):
        yield CocoImage(
            {
                "id": image_id,
                "file_name": record["path"],
                "frame": record["frame"],
                "width": record["width"],
                "height": record["height"],
            }
        )


def _results(records: Iterable[JsonRecord], classes: Sequence[str]) -> Iterator[CocoResult]:
    category_ids = {name: number for number, name in enumerate(classes, 1)}
    for image_id, record in _frames(records):
        for found in record["detections"]:
            x1, y1, x2, y2 = found["box_xyxy"]
            box = (x1, y1, round(x2 - x1, 2), round(y2 - y1, 2))
            yield CocoResult(image_id, category_ids[found["class"]], box, found["score"])


def _area(result: CocoResult) -> float:
    return round(float(result.box_xywh[2] * result.box_xywh[3]), 2)


WRITER: Writer = CocoWriter()
