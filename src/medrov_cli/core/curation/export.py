"""From our dataset to other tools' files: the procedure of ``medrov data export``."""

from __future__ import annotations

import filecmp
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import bring_file
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.opened import Opened, open_inputs
from medrov_cli.core.datasets.writers import coco, cvat, label_studio, voc, yolo
from medrov_cli.core.datasets.writers.images import ExportedImage, Written, classes_of, collect
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.kind import exclusive_kind

RUN_FILE = "export.json"
"""In the output: what it was begun with."""

RUN_SCHEMA = "medrov.data.export-run/1"

Format = Literal["coco", "yolo", "voc", "label-studio", "cvat"]
_MAIN_FILES = {
    "coco": coco.MAIN_FILE,
    "yolo": yolo.MAIN_FILE,
    "voc": voc.MAIN_FILE,
    "label-studio": label_studio.MAIN_FILE,
    "cvat": cvat.MAIN_FILE,
}


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """What to write, and where.

    Attributes
    ----------
    path
        A dataset yaml or a source folder.
    to
        The format.
    output
        Folder to write to.
    splits
        Only images of these (``train``, ``val``, ``test``, ``none``); empty: all.
    sources
        Only these sources of the yaml; empty: all.
    data_root
        In place of the yaml's ``root``.
    link_images
        Hard links in place of copies, where the file system can.
    image_url
        What stands before ``images/...`` in the addresses of Label Studio's tasks.
    resume
        Go on with an interrupted export.
    """

    path: Path
    to: Format
    output: Path
    splits: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    data_root: Path | None = None
    link_images: bool = False
    image_url: str = label_studio.LOCAL_FILES
    resume: bool = False


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written.

    Attributes
    ----------
    file
        The file to open in the other tool.
    images, boxes
        How many were written.
    classes
        In the order of the file.
    written
        What the format cannot hold.
    failures
        Name and reason of each image, or source, that is not there.
    """

    file: Path
    images: int
    boxes: int
    classes: tuple[str, ...]
    written: Written
    failures: tuple[tuple[str, MedrovError], ...]


def run_export(config: ExportConfig, progress: Progress = no_progress) -> ExportResult:
    """Copy the images, then write the annotations of those that could be copied.

    Files that are there already are not copied again.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``, ``NO_INPUT``: no image of the splits, or not one could be read. ``USAGE``:
        the output holds something else. ``OUTPUT_FAILED``.
    """
    opened = open_inputs([config.path], config.data_root)
    images = collect(opened, splits=config.splits, sources=config.sources)
    if not images:
        raise MedrovError(ErrorCode.NO_INPUT, "there is no image to export", "Check --split and --source.")
    with RunFolder(config.output, exclusive_kind(RUN_FILE)) as folder:
        folder.claim(_describe(config, opened), resume=config.resume)
        return _export(config, opened, images, progress)


def _export(
    config: ExportConfig, opened: Opened, images: Sequence[ExportedImage], progress: Progress
) -> ExportResult:
    """Write the images and their annotations into the claimed folder."""
    places = _places(config.to, images)
    failures = [own for own in opened.failures if not config.sources or own[0] in config.sources]
    copied = []
    for done, image in enumerate(images):
        progress(done, len(images), image.label)
        try:
            _bring(image.file, config.output / places[image.name], link=config.link_images)
            copied.append(image)
        except MedrovError as error:
            if not error.is_input_error:
                raise
            failures.append((image.label, error))
    progress(len(images), len(images), config.to)
    if not copied:
        raise MedrovError(ErrorCode.NO_INPUT, failures[-1][1].message, failures[-1][1].hint)
    classes = classes_of(opened, config.sources)
    written = _write(config, copied, classes)
    return ExportResult(
        file=config.output / _MAIN_FILES[config.to],
        images=len(copied),
        boxes=sum(len(image.boxes) for image in copied) - written.crowds - written.outside,
        classes=classes,
        written=written,
        failures=tuple(failures),
    )


def _describe(config: ExportConfig, opened: Opened) -> dict[str, Any]:
    """Return what makes up an export, without the places of its folders."""
    inputs = [[source.name, source.document] for source in opened.sources]
    return {
        "schema": RUN_SCHEMA,
        "settings": {
            "to": config.to,
            "splits": list(config.splits),
            "sources": list(config.sources),
            "image_url": config.image_url,
        },
        "inputs": {
            "count": len(inputs),
            "sha256": hashlib.sha256(json.dumps(inputs).encode()).hexdigest(),
        },
    }


def _places(to: Format, images: Sequence[ExportedImage]) -> dict[str, str]:
    """Return where each image stands below the output, by its name."""
    if to == "yolo":
        return {name: f"images/{place}" for name, place in yolo.image_places(images).items()}
    if to == "voc":
        return {name: f"JPEGImages/{place}" for name, place in voc.image_places(images).items()}
    return {image.name: f"images/{image.name}" for image in images}


def _write(config: ExportConfig, images: Sequence[ExportedImage], classes: Sequence[str]) -> Written:
    match config.to:
        case "coco":
            return coco.write(config.output, images, classes)
        case "yolo":
            return yolo.write(config.output, images, classes)
        case "voc":
            return voc.write(config.output, images, classes)
        case "label-studio":
            return label_studio.write(config.output, images, classes, config.image_url)
        case "cvat":
            return cvat.write(config.output, images, classes)


def _bring(file: Path, target: Path, *, link: bool) -> None:
    """Put a file where the other tool looks for it, byte for byte."""
    if not file.is_file():
        raise MedrovError(ErrorCode.NOT_FOUND, "The image is missing.", "Put it back, or drop its record.")
    if target.is_file() and filecmp.cmp(file, target, shallow=False):
        return
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        message = f"The image cannot be read: {error.strerror or error}."
        raise MedrovError(ErrorCode.UNREADABLE, message, "Check its permissions.") from error
    bring_file(file, target, link=link)
