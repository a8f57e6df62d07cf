"""Procedure of ``medrov data export``: a dataset in the file format of another tool."""

from __future__ import annotations

import filecmp
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import bring_file
from medrov_cli.core.base.plugins import find_entry, load
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.source_set import SourceSet, open_inputs
from medrov_cli.core.datasets.writers import registry
from medrov_cli.core.datasets.writers.exported_images import ExportedImage, as_shown, collect, head_of
from medrov_cli.core.datasets.writers.label_studio import LOCAL_FILES
from medrov_cli.core.datasets.writers.protocol import DatasetWriter, Written
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.kind import exclusive_kind
from medrov_cli.core.settings.data_export import DataExportSettings

RUN_FILE = "export.json"
"""Name of the file in the output that describes the run."""

RUN_SCHEMA = "medrov.data.export-run/1"


@dataclass(frozen=True, slots=True)
class DatasetExportResult:
    """Result of an export.

    Attributes
    ----------
    file
        The file to open in the other tool.
    images, boxes
        Numbers of written images and boxes.
    classes
        Class names in the order of the file.
    written
        Warnings about contents that the format cannot store.
    failures
        Name and reason of each missing image or source.
    """

    file: Path
    images: int
    boxes: int
    classes: tuple[str, ...]
    written: Written
    failures: tuple[tuple[str, MedrovError], ...]


def run_export(config: DataExportSettings, progress: Progress = no_progress) -> DatasetExportResult:
    """Copy the images, then write the annotations of the copied images.

    Existing files are not copied again.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``; ``NO_INPUT`` if the splits have no image or none can be read; ``USAGE`` if the
        output contains other files or the format is unknown; ``OUTPUT_FAILED``.
    """
    config.check()
    writer = _writer_of(config.to)
    opened = open_inputs([config.dataset], config.data_root)
    images = collect(opened, splits=config.splits, sources=config.sources)
    if not images:
        raise MedrovError(ErrorCode.NO_INPUT, "no image to export", "Check --split and --source.")
    with RunFolder(config.output, exclusive_kind(RUN_FILE)) as folder:
        folder.claim(_describe(config, opened), resume=config.resume)
        return _export(config, opened, images, writer, progress)


def _export(
    config: DataExportSettings,
    opened: SourceSet,
    images: Sequence[ExportedImage],
    writer: DatasetWriter,
    progress: Progress,
) -> DatasetExportResult:
    """Write the images and their annotations into the claimed folder."""
    places = writer.image_places(images)
    failures = [own for own in opened.failures if not config.sources or own[0] in config.sources]
    copied = []
    for done, image in enumerate(images):
        progress(done, len(images), image.label)
        try:
            _bring(image.file, config.output / places[image.name], link=config.link_images)
            copied.append(as_shown(image) if writer.follows_exif else image)
        except MedrovError as error:
            if not error.is_input_error:
                raise
            failures.append((image.label, error))
    progress(len(images), len(images), config.to)
    if not copied:
        raise MedrovError(ErrorCode.NO_INPUT, failures[-1][1].message, failures[-1][1].hint)
    head = head_of(opened, config.sources)
    written = writer.write(config.output, copied, head, _image_url(config))
    return DatasetExportResult(
        file=config.output / writer.main_file,
        images=len(copied),
        boxes=sum(len(image.boxes) for image in copied) - written.crowds - written.outside,
        classes=head.classes,
        written=written,
        failures=tuple(failures),
    )


def _describe(config: DataExportSettings, opened: SourceSet) -> dict[str, Any]:
    """Return the settings that determine an export, without paths of folders."""
    inputs = [[source.name, source.document.fields] for source in opened.sources]
    return {
        "schema": RUN_SCHEMA,
        "settings": {
            "to": config.to,
            "splits": list(config.splits),
            "sources": list(config.sources),
            "image_url": _image_url(config),
        },
        "inputs": {
            "count": len(inputs),
            "sha256": hashlib.sha256(json.dumps(inputs).encode()).hexdigest(),
        },
    }


def _image_url(config: DataExportSettings) -> str:
    return LOCAL_FILES if config.image_url is None else config.image_url


def _writer_of(name: str) -> DatasetWriter:
    entry = find_entry(registry.WRITERS, name)
    if entry is None:
        known = ", ".join(entry.name for entry in registry.WRITERS)
        raise usage_error(f"--to: unknown {name!r}.", f"Known formats: {known}.")
    writer: DatasetWriter = load(entry)
    return writer


def _bring(file: Path, target: Path, *, link: bool) -> None:
    """Copy or link a file to the place that the other tool reads, with equal bytes."""
    if not file.is_file():
        raise MedrovError(
            ErrorCode.NOT_FOUND, "The image is missing.", "Restore the file, or remove its record."
        )
    if target.is_file() and filecmp.cmp(file, target, shallow=False):
        return
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        message = f"The image cannot be read: {error.strerror or error}."
        raise MedrovError(ErrorCode.UNREADABLE, message, "Check its permissions.") from error
    bring_file(file, target, link=link)
