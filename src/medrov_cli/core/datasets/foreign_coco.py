"""Truth and predictions as COCO files: what other programs write and read.

An image is named ``SOURCE/images/FILE``; ids count from 1 in the order of the split's images and of
the dataset's classes. A file of predictions is a list of results, or a document with ``annotations``
(then its ``images`` are matched by ``file_name`` and its ``categories`` by name).
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.boxes import xywh_to_xyxy, xyxy_to_xywh
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.settings.choices import SPLITS, Split

_HINT = "See docs/evaluation.md for the form; --export-truth writes the ids that are expected."


def image_name(dataset: Dataset, sample: Sample) -> str:
    """Return the name of an image in COCO files: ``SOURCE/images/FILE``."""
    source = dataset.sources[sample.source_id]
    return f"{source.name}/images/{sample.image_path.relative_to(source.images).as_posix()}"


def write_truth(path: Path, dataset: Dataset, split: Split) -> None:
    """Write the truth of a split as one COCO document that ``pycocotools.COCO`` opens.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    annotations: list[dict[str, Any]] = []
    for image_id, sample in enumerate(dataset.samples[split], start=1):
        for crowd, boxes, labels in (
            (0, sample.boxes_xyxy, sample.labels),
            (1, sample.crowd_xyxy, sample.crowd_labels),
        ):
            areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) if crowd else sample.areas
            for box, label, area in zip(
                xyxy_to_xywh(boxes).tolist(), labels.tolist(), areas.tolist(), strict=True
            ):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": label + 1,
                        "bbox": box,
                        "area": area,
                        "iscrowd": crowd,
                    }
                )
    _write(path, dataset, split, annotations)


def write_predictions(path: Path, dataset: Dataset, split: Split, found: Sequence[Detections]) -> None:
    """Write detections as a COCO document; its ``annotations`` alone are a COCO result file.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    annotations = (
        {"id": 0, "image_id": image_id, "category_id": label + 1, "bbox": box, "score": score}
        for image_id, one in enumerate(found, start=1)
        for box, score, label in zip(
            np.round(xyxy_to_xywh(one.boxes_xyxy.astype(np.float64)), 3).tolist(),
            one.scores.tolist(),
            one.labels.tolist(),
            strict=True,
        )
    )
    _write(path, dataset, split, ({**item, "id": number} for number, item in enumerate(annotations, 1)))


def _write(path: Path, dataset: Dataset, split: Split, annotations: Iterable[dict[str, Any]]) -> None:
    head = {
        "info": {"description": f"{dataset.name}, {split} split. {RESEARCH_NOTICE}"},
        "categories": [{"id": row, "name": name} for row, name in enumerate(dataset.classes, start=1)],
        "images": [
            {"id": number, "file_name": image_name(dataset, s), "width": s.width, "height": s.height}
            for number, s in enumerate(dataset.samples[split], start=1)
        ],
    }
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(head)[:-1] + ', "annotations": [\n')
        for number, annotation in enumerate(annotations):
            stream.write((",\n" if number else "") + json.dumps(annotation, allow_nan=False))
        stream.write("\n]}\n")


def read_predictions(path: Path, dataset: Dataset, split: Split) -> tuple[list[Detections], int]:
    """Read the predictions of a split, and the number of those that belong to other splits.

    Raises
    ------
    MedrovError
        ``PREDICTIONS_INVALID``: not COCO, an unknown image or category, an image that is listed
        twice, a box or score that is no number.
    """
    document = _read(path)
    by_position: list[list[tuple[list[float], float, int]]] = [[] for _ in dataset.samples[split]]
    elsewhere = 0
    with _complaints(path):
        if isinstance(document, list):
            results = document
            image_of, row_of = _by_id(dataset, split)
        else:
            results = document["annotations"]
            image_of = _by_file_name(document["images"], dataset, split)
            row_of = _by_category_name(document["categories"], dataset)
        for number, result in enumerate(results, start=1):
            position = image_of(result["image_id"])
            label = row_of(result["category_id"])
            box, score = [float(value) for value in result["bbox"]], float(result["score"])
            if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) < 0:
                raise ValueError(f"result {number} has the bbox {result['bbox']!r}, not x, y, width, height")
            if not 0 <= score <= 1:
                raise ValueError(f"result {number} has the score {score!r}, not from 0 to 1")
            if position is None:
                elsewhere += 1
            else:
                by_position[position].append((box, score, label))
    return [_found(rows) for rows in by_position], elsewhere


def _found(rows: list[tuple[list[float], float, int]]) -> Detections:
    rows = sorted(rows, key=lambda row: -row[1])
    return Detections(
        xywh_to_xyxy(np.array([row[0] for row in rows], dtype=np.float64).reshape(-1, 4)),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


_Position = Callable[[Any], int | None]
"""From an image id to its position in the split; null for an image of another split."""


def _by_id(dataset: Dataset, split: Split) -> tuple[_Position, Callable[[Any], int]]:
    """Return the ids of a bare list: the file's own for a single source, else those of the truth file."""
    single = len(dataset.sources) == 1
    positions: dict[Any, int | None] = {}
    for other in SPLITS:
        for number, sample in enumerate(dataset.samples[other]):
            if single:
                positions[sample.image_id] = number if other == split else None
            elif other == split:
                positions[number + 1] = number
    rows = dataset.sources[0].category_rows if single else {r + 1: r for r in range(len(dataset.classes))}
    return (
        lambda image_id: _known(positions, image_id, "image id"),
        lambda category: _known(dict(rows), category, "category id"),
    )


def _by_file_name(images: list[dict[str, Any]], dataset: Dataset, split: Split) -> _Position:
    names: dict[str, list[int | None]] = {}
    for other in SPLITS:
        for number, sample in enumerate(dataset.samples[other]):
            for name in _endings(image_name(dataset, sample)):
                names.setdefault(name, []).append(number if other == split else None)
    positions: dict[Any, int | None] = {}
    for image in images:
        name = str(image["file_name"]).replace("\\", "/")
        matches = next((names[end] for end in _endings(name) if end in names), None)
        if matches is None:
            raise ValueError(f"the dataset has no image {name!r}")
        if len(matches) > 1:
            raise ValueError(f"several sources have an image {name!r}; write SOURCE/images/FILE")
        if image["id"] in positions:
            raise ValueError(f"two images have the id {image['id']!r}")
        positions[image["id"]] = matches[0]
    used = [position for position in positions.values() if position is not None]
    if len(used) != len(set(used)):
        raise ValueError("an image is listed twice")
    return lambda image_id: _known(positions, image_id, "image id")


def _endings(name: str) -> Iterator[str]:
    """Yield a path and its endings, longest first; ``images`` folders may be left out."""
    parts = name.split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:])
    if len(parts) >= 3 and parts[-2] == "images":
        yield "/".join([parts[-3], parts[-1]])


def _by_category_name(categories: list[dict[str, Any]], dataset: Dataset) -> Callable[[Any], int]:
    rows = {name.casefold(): row for row, name in enumerate(dataset.classes)}
    known = {}
    for category in categories:
        if (row := rows.get(str(category["name"]).casefold())) is not None:
            known[category["id"]] = row

    def row_of(category_id: Any) -> int:
        if category_id not in known:
            name = next((c["name"] for c in categories if c["id"] == category_id), category_id)
            raise ValueError(f"the dataset has no class {name!r}")
        return int(known[category_id])

    return row_of


def _read(path: Path) -> Any:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _invalid(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _invalid(path, "it is not JSON") from error
    if not isinstance(document, list | dict):
        raise _invalid(path, "it is neither a list of results nor a document")
    return document


@contextlib.contextmanager
def _complaints(path: Path) -> Iterator[None]:
    """Turn what is wrong with the content into ``PREDICTIONS_INVALID``."""
    try:
        yield
    except KeyError as error:
        raise _invalid(path, f"a field {error.args[0]!r} is missing") from error
    except (ValueError, TypeError) as error:
        raise _invalid(path, str(error)) from error


def _invalid(path: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.PREDICTIONS_INVALID, f"{path}: {what}", _HINT)


def _known(table: dict[Any, Any], key: Any, what: str) -> Any:
    if key not in table:
        raise ValueError(f"unknown {what} {key!r}")
    return table[key]
