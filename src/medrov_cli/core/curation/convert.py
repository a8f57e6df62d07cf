"""Procedure of ``medrov data convert``: one source folder from annotations in another format.

Units are read in parallel; each writes its images, and the results are collected in order. ``convert.json``
describes the run and is written first; ``annotations.json`` is written last.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.name_collisions import collision_key
from medrov_cli.core.base.ordered import OrderedReader
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.base.text_files import escaped, is_encodable
from medrov_cli.core.curation.convert_warnings import (
    OUTSIDE,
    case_warnings,
    class_warnings,
    image_warnings,
    keep_objects,
)
from medrov_cli.core.datasets.class_rules import is_object_name
from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading, Unit
from medrov_cli.core.datasets.source_file import Images, WrittenImage, source_parts
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.pixels.budget import limit_memory
from medrov_cli.core.records.annotations import Annotation
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.kind import exclusive_kind
from medrov_cli.core.settings.data_convert import UNSTATED, ConvertSettings

RUN_FILE = "convert.json"
RUN_SCHEMA = "medrov.data.convert-run/1"

_BAD_NAME = "a class name that is not valid text"
_NAME_HINT = "Correct the class name, or export the annotations again."


@dataclass(frozen=True, slots=True)
class FailedInput:
    """Input that could not be read."""

    path: str
    error: MedrovError


@dataclass(frozen=True, slots=True)
class Converted:
    """Result of a conversion.

    Attributes
    ----------
    images
        Number of images, including those of an earlier run that is resumed.
    classes
        Number of boxes by class, in the order of the categories.
    splits
        Number of images by split.
    skipped_empty
        Number of skipped images without boxes.
    clipped
        Number of boxes that were clipped to their image.
    dropped
        Number of boxes without area inside their image, which are not written.
    repeated
        Number of repeated boxes of an image, which are not written.
    failures
        Inputs that could not be read, in order. Without any image there is no ``annotations.json``.
    warnings
        Sentences about what was left out and what was assumed.
    """

    images: int
    classes: Mapping[str, int]
    splits: Mapping[str, int]
    skipped_empty: int
    clipped: int
    dropped: int
    repeated: int
    failures: tuple[FailedInput, ...]
    warnings: tuple[str, ...] = ()


def convert(config: ConvertSettings, progress: Progress = no_progress) -> Converted:
    """Read an input and write it as a source folder.

    Raises
    ------
    MedrovError
        ``usage`` if the folder contains other files or an option is missing; ``not_found``, ``no_input`` or
        ``dataset_invalid`` if there is nothing to read; ``output_failed``. A single input that fails is a
        record of the result.
    """
    config.check()
    limit_memory(config.reader.max_memory)
    reading = find_reader(config.format)(dataclasses.replace(config.reader, source=_source_of(config)))
    if not all(map(is_encodable, reading.class_names)):
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{config.reader.path}: {_BAD_NAME}", _NAME_HINT)
    with RunFolder(config.output, exclusive_kind(RUN_FILE, last=ANNOTATIONS)) as folder:
        folder.claim(_describe(config, reading), resume=config.resume)
        return _convert(config, reading, folder, progress)


def _convert(config: ConvertSettings, reading: Reading, folder: RunFolder, progress: Progress) -> Converted:
    """Write the images, then the annotations, into the claimed folder."""
    images = Images(
        config.output,
        config.split,
        keep=config.resume,
        drop_repeats=config.drop_repeats,
        keep_metadata=config.keep_metadata,
    )
    entries: list[WrittenImage] = []
    origins: list[str] = []
    failures: list[FailedInput] = []
    skipped: list[WrittenImage] = []
    paths_by_text: dict[str, list[str]] = defaultdict(list)
    named = config.reader.labels.class_names

    def entries_of(unit: Unit) -> Iterator[WrittenImage]:
        for image in unit.read():
            if not all(is_encodable(own.class_name) for own in image.annotations):
                raise MedrovError(ErrorCode.BAD_METADATA, f"It has {_BAD_NAME}.", _NAME_HINT)
            yield images.add(keep_objects(image, named), skip_empty=config.reader.skip_empty)

    with OrderedReader(reading.units, entries_of, config.workers) as reader:
        for number, found in reader:
            if isinstance(found, MedrovError):
                failures.append(FailedInput(reading.units[number].path, found))
            else:
                if found.file_name is None:
                    skipped.append(found)
                else:
                    entries.append(found)
                    origins.append(reading.units[number].path)
                for text in (*found.warnings, *([OUTSIDE] if found.dropped else [])):
                    paths_by_text[text].append(reading.units[number].path)
            # A unit may have many images; it is complete at the first image of the next unit.
            progress(number, len(reading.units), "converting")
    progress(len(reading.units), len(reading.units), "converting")
    _refuse_twins(entries, origins)
    boxes = [box for entry in entries for box in entry.boxes]
    stated = _class_names(reading, boxes)
    names = tuple(name for name in stated if name in named or is_object_name(name))
    if entries:
        info = {"modality": config.modality.value, "licence": config.licence, "source": config.source}
        parts = source_parts(info, names, entries, reading.pseudo_names)
        folder.finish(lambda path: write_document(path, parts))
    return Converted(
        images=len(entries),
        classes={name: sum(box.class_name == name for box in boxes) for name in names},
        splits={split: sum(entry.split == split for entry in entries) for split in ("train", "val", "test")},
        skipped_empty=len(skipped),
        clipped=sum(entry.clipped for entry in entries),
        dropped=sum(entry.dropped for entry in (*entries, *skipped)),
        repeated=sum(entry.repeated for entry in entries),
        failures=tuple(failures),
        warnings=(
            *reading.warnings,
            *class_warnings(stated, names),
            *(case_warnings([own.case for own in entries], origins) if config.reader.case else ()),
            *image_warnings(paths_by_text),
        ),
    )


def _source_of(config: ConvertSettings) -> str:
    """Return the name of the source: the option's value, else the name of its folder."""
    return config.source if config.source != UNSTATED else escaped(config.output.resolve().name)


def _class_names(reading: Reading, boxes: list[Annotation]) -> tuple[str, ...]:
    """Return the classes of the source in its order, then the others sorted by name."""
    others = {box.class_name for box in boxes} - set(reading.class_names)
    return (*reading.class_names, *sorted(others))


def _refuse_twins(entries: list[WrittenImage], origins: list[str]) -> None:
    """Refuse images with file names that some file system takes for one; ``origins`` are their inputs."""
    seen: dict[str, str] = {}
    for entry, origin in zip(entries, origins, strict=True):
        name = collision_key(str(entry.file_name))
        if name in seen:
            pair = " and ".join(escaped(path) for path in dict.fromkeys((seen[name], origin)))
            raise MedrovError(
                ErrorCode.DATASET_INVALID,
                f"two images would be written to images/{entry.file_name}: {pair}",
                "Give the images different names, and DICOM instances different UIDs.",
            )
        seen[name] = origin


def _describe(config: ConvertSettings, reading: Reading) -> dict[str, Any]:
    """Return the settings that determine a conversion, without paths of folders."""
    paths = "\n".join(unit.path for unit in reading.units)
    own = config.reader
    return {
        "schema": RUN_SCHEMA,
        "settings": {
            "from": config.format,
            "modality": config.modality.value,
            "licence": config.licence,
            "source": config.source,
            "split": config.split,
            "labels": {str(value): name for value, name in own.labels.names.items()} or own.labels.binary,
            "components": own.components,
            "min_area": own.min_area,
            "axis": own.axis,
            "every": own.every,
            "window": own.window,
            "skip_empty": own.skip_empty,
            "drop_repeats": config.drop_repeats,
            "keep_metadata": config.keep_metadata,
            **({"tile": own.tile} if config.format == "geojson" else {}),
            "csv": None if own.csv is None else own.csv.name,
            "readers": own.readers,
            "case": None if own.case is None else own.case.pattern,
        },
        "inputs": {
            "count": len(reading.units),
            "sha256": hashlib.sha256(paths.encode("utf-8", errors="surrogateescape")).hexdigest(),
        },
    }
