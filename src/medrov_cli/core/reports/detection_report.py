"""Report of a detection run: a page with a gallery of the images, their detections, findings and failures.

The page reads its data from the page itself, or from script files beside it (a page of a file system may not
read other files). A script draws only the visible part of the gallery.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from markupsafe import Markup

from medrov_cli.core.base.class_colors import class_color_hex
from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.reports.strict_page import script_json, write_strict_page

DECISIONS_SCHEMA = "medrov.detect-decisions/1"
"""Schema of the file of decisions that the page saves."""

INDEX_FILE = "index.html"
DATA_FOLDER = "data"

MAX_EMBEDDED = 200
"""From this number of images or failures on, pictures and data are files beside the page."""

RECORDS_PER_FILE = 500
MAX_DETECTIONS = 5000
"""Detections of one image in the page, those with the highest scores; a slide can have a million."""

LIMITS = (
    "An object without a box is not proven to be absent: every class has missed objects.",
    "On images of centres, devices and patient groups other than those of training, the accuracy is lower.",
    "Scores are calibrated on the images of one validation split, if they are calibrated at all.",
    "Names outside the vocabulary are detected only if their texts are similar to those of trained classes.",
    "In an image whose kind is unknown nothing is searched unless classes are named.",
)
"""Limits of all weights; a model card names those of its weights."""

Record = Mapping[str, Any]
Records = Callable[[], Iterable[Record]]


@dataclass(frozen=True, slots=True)
class DetectionReport:
    """Content of a report.

    Attributes
    ----------
    images
        Function that reads the records of images and failed inputs, of schema ``medrov.detect/1``.
    volumes
        Function that reads the records of volumes, of schema ``medrov.findings/1``.
    classes
        Names of all classes of the run, in the order of their indices.
    summary
        Counts of the run.
    run
        Document ``run.json``.
    records_sha256
        SHA-256 of the run's ``detections.jsonl``, to which decisions refer.
    picture_of
        Function that returns the path of an image's picture, below the folder of the report.
    """

    images: Records
    volumes: Records
    classes: Sequence[str]
    summary: Mapping[str, Any]
    run: Mapping[str, Any]
    records_sha256: str
    picture_of: Callable[[Record], Path]


def write_detection_report(folder: Path, report: DetectionReport) -> None:
    """Write the page of a run, with one part of the records in memory at a time.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    is_single = max(report.summary["images"], report.summary["failed"]) < MAX_EMBEDDED
    if is_single:
        pictures = [report.picture_of(record) for record in report.images() if "error" not in record]
        embedded = list(_parts(report, lambda _, number: number))
        sources: list[str] = []
    else:
        pictures, embedded = [], []
        sources = list(_write_parts(folder, _parts(report, _relative_picture(report))))
    write_strict_page(
        folder / INDEX_FILE,
        "detections.html.j2",
        ("detections.css",),
        ("decisions.js", "detections.js"),
        reads_folder=not is_single,
        title="Detections",
        notice=RESEARCH_NOTICE,
        limits=LIMITS,
        summary=report.summary,
        classes=report.classes,
        counts=list(report.summary["detections_by_class"].items()),
        run=report.run,
        head=Markup(script_json(_head(report))),  # noqa: S704 - escaped
        embedded=[Markup(script_json(part)) for part in embedded],  # noqa: S704 - escaped
        pictures=map(_jpeg_file_uri, map(folder.joinpath, pictures)),
        sources=sources,
    )


def _head(report: DetectionReport) -> dict[str, Any]:
    return {
        "schema": DECISIONS_SCHEMA,
        "records": report.records_sha256,
        "classes": list(report.classes),
        "colors": [class_color_hex(name) for name in report.classes],
    }


def _relative_picture(report: DetectionReport) -> Callable[[Record, int], str]:
    return lambda record, _: report.picture_of(record).as_posix()


def _write_parts(folder: Path, parts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Write a script file for each part; yield its address."""
    for number, part in enumerate(parts):
        name = f"{DATA_FOLDER}/{number:05d}.js"
        with whole_file(folder / name) as temporary:
            temporary.write_text(f"medrovReport({script_json(part)});\n", encoding="ascii", newline="\n")
        yield name


def _parts(
    report: DetectionReport, picture_of: Callable[[Record, int], int | str]
) -> Iterator[dict[str, Any]]:
    """Yield the data of the page in parts: images, failures and volumes."""
    labels = {name: label for label, name in enumerate(report.classes)}
    number = 0
    for records in _batches(report.images(), RECORDS_PER_FILE):
        images = []
        for record in records:
            if "error" not in record:
                images.append(_image_row(record, labels, picture_of(record, number)))
                number += 1
        failures = [_failure_row(record) for record in records if "error" in record]
        yield {"images": images, "failures": failures}
    for records in _batches(report.volumes(), max(1, RECORDS_PER_FILE // 10)):
        yield {"volumes": [_volume_row(record, labels) for record in records]}


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    stream = iter(records)
    while batch := list(islice(stream, size)):
        yield batch


def _image_row(record: Record, labels: Mapping[str, int], picture: int | str) -> list[Any]:
    """Return the values of an image, in the order that the script expects."""
    found = record["detections"]
    return [
        record["path"],
        record["frame"],
        record["frame_count"],
        record["width"],
        record["height"],
        record["modality"],
        record["image_kind"],
        _window_text(record["window"]),
        record["pixel_spacing_mm"],
        record["warnings"],
        picture,
        [_box_row(row, labels) for row in found[:MAX_DETECTIONS]],
        len(found),
    ]


def _box_row(row: Record, labels: Mapping[str, int]) -> list[Any]:
    """Return class, score, corners, and width and height in mm or null."""
    size_mm = row["size_mm"] or (None, None)
    if "box_um" in row:
        x1, y1, x2, y2 = row["box_um"]
        size_mm = (round((x2 - x1) / 1000, 5), round((y2 - y1) / 1000, 5))
    return [labels[row["class"]], row["score"], *row["box_xyxy"], *size_mm]


def _failure_row(record: Record) -> list[Any]:
    error = record["error"]
    return [record["path"], error["code"], error["message"], error["hint"]]


def _volume_row(record: Record, labels: Mapping[str, int]) -> list[Any]:
    """Return the values of a volume; its slices are pairs of a number in the list of paths and a frame."""
    paths: dict[str, int] = {}
    slices = [[paths.setdefault(one["path"], len(paths)), one["frame"]] for one in record["slices"]]
    findings = [
        [
            labels[row["class"]],
            *(row[key] for key in ("score", "first_slice", "last_slice", "key_slice", "extent_mm")),
            *(row[key] for key in ("diameter_mm", "volume_mm3", "seconds")),
            [[one["slice"], one["detection"]] for one in row["members"]],
        ]
        for row in record["findings"]
    ]
    kept = ("path", "kind", "volume", "volume_count", "modality", "slice_step_mm", "refusal", "warnings")
    return [*(record[key] for key in kept), list(paths), slices, findings]


def _window_text(window: Record | None) -> str | None:
    """Return the conversion to 8 bit in words; null if there was none."""
    if window is None or window["source"] == "none":
        return None
    named = [str(window["name"])] if window["name"] is not None else []
    if window["center"] is not None:
        named.append(f"center {window['center']:g}, width {window['width']:g}")
    return " ".join((*named, f"({window['source']})"))


def _jpeg_file_uri(path: Path) -> str:
    """Return a JPEG file as a ``data:`` address; that of no picture if it does not exist."""
    if not path.is_file():
        return "data:,"
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
