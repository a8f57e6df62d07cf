"""The procedure behind ``medrov data convert``: one source folder from whatever people have.

Units are read side by side, each writing its images, and reported in order. ``convert.json`` says from the
first moment what the folder is to become; ``annotations.json`` is written last.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.ordered import OrderedReader
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.datasets.coco import write_document
from medrov_cli.core.datasets.readers.find_reader import find_reader
from medrov_cli.core.datasets.readers.protocol import Reading, Unit
from medrov_cli.core.datasets.source_file import Images, WrittenImage, source_parts
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.records.annotations import Annotation
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.kind import exclusive_kind
from medrov_cli.core.settings.data_convert import UNSTATED, ConvertSettings

RUN_FILE = "convert.json"
RUN_SCHEMA = "medrov.data.convert-run/1"


@dataclass(frozen=True, slots=True)
class FailedInput:
    """An input that could not be read."""

    path: str
    error: MedrovError


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion made.

    Attributes
    ----------
    images
        Images written, or found whole by a resumed run.
    classes
        Boxes by class, in the order of the categories.
    splits
        Images by split.
    skipped_empty
        Images left out because nothing is on them.
    clipped
        Boxes that reached out of their image, and were cut.
    dropped
        Boxes left out because nothing of them is inside their image.
    repeated
        Boxes left out because they stood on their image already.
    failures
        Inputs that could not be read, in order. With no image at all there is no ``annotations.json``.
    """

    images: int
    classes: Mapping[str, int]
    splits: Mapping[str, int]
    skipped_empty: int
    clipped: int
    dropped: int
    repeated: int
    failures: tuple[FailedInput, ...]


def convert(config: ConvertSettings, progress: Progress = no_progress) -> Converted:
    """Read an input and write it as a source folder.

    Raises
    ------
    MedrovError
        ``usage``: the folder holds something else, or an option is missing; ``not_found``, ``no_input``,
        ``dataset_invalid``: there is nothing to read; ``output_failed``. An input that fails alone is a
        record in the result.
    """
    config.check()
    reading = find_reader(config.format)(dataclasses.replace(config.reader, source=_source_of(config)))
    with RunFolder(config.output, exclusive_kind(RUN_FILE, last=ANNOTATIONS)) as folder:
        folder.claim(_describe(config, reading), resume=config.resume)
        return _convert(config, reading, folder, progress)


def _convert(config: ConvertSettings, reading: Reading, folder: RunFolder, progress: Progress) -> Converted:
    """Write the images, then the annotations, into the claimed folder."""
    images = Images(config.output, config.split, keep=config.resume, drop_repeats=config.drop_repeats)
    entries: list[WrittenImage] = []
    failures: list[FailedInput] = []
    skipped: list[WrittenImage] = []

    def entries_of(unit: Unit) -> Iterator[WrittenImage]:
        for image in unit.read():
            yield images.add(image, skip_empty=config.reader.skip_empty)

    with OrderedReader(reading.units, entries_of, config.workers) as reader:
        for number, found in reader:
            if isinstance(found, MedrovError):
                failures.append(FailedInput(reading.units[number].path, found))
            else:
                (skipped if found.file_name is None else entries).append(found)
            # A unit may have many images: it is done when the next one begins.
            progress(number, len(reading.units), "converting")
    progress(len(reading.units), len(reading.units), "converting")
    _refuse_twins(entries)
    boxes = [box for entry in entries for box in entry.boxes]
    names = _class_names(reading, boxes)
    if entries:
        info = {"modality": config.modality.value, "licence": config.licence, "source": config.source}
        parts = source_parts(info, names, entries)
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
    )


def _source_of(config: ConvertSettings) -> str:
    """Return what the source is called: what the user says of it, else the name of its folder."""
    return config.source if config.source != UNSTATED else config.output.resolve().name


def _class_names(reading: Reading, boxes: list[Annotation]) -> tuple[str, ...]:
    """Return the source's own classes in its order, then the others by name."""
    others = {box.class_name for box in boxes} - set(reading.class_names)
    return (*reading.class_names, *sorted(others))


def _refuse_twins(entries: list[WrittenImage]) -> None:
    """Refuse images whose files differ by letter case at most: some file systems have one for both."""
    seen: set[str] = set()
    for entry in entries:
        name = str(entry.file_name).casefold()
        if name in seen:
            raise MedrovError(
                ErrorCode.DATASET_INVALID,
                f"two images would be written to images/{entry.file_name}",
                "Give the images different names.",
            )
        seen.add(name)


def _describe(config: ConvertSettings, reading: Reading) -> dict[str, Any]:
    """Return what makes up a conversion, without the places of its folders."""
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
            "csv": None if own.csv is None else own.csv.name,
            "readers": own.readers,
            "case": None if own.case is None else own.case.pattern,
        },
        "inputs": {
            "count": len(reading.units),
            "sha256": hashlib.sha256(paths.encode("utf-8", errors="surrogateescape")).hexdigest(),
        },
    }
