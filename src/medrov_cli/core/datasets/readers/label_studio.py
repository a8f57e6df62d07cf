"""Read Label Studio's JSON export: tasks with regions in percents.

Of several annotations of a task, the one counts that is marked as ground truth, else the one that was
changed last; skipped ones do not. A task that nobody has annotated fails: it is no negative image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from medrov_cli.core.base.documents import read_json
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError, is_file
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.image_names import address_readings
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit, failing_unit, listed
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder
from medrov_cli.core.datasets.readers.shared.raster_files import IMAGE_SUFFIXES, file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import AnnotatedGrid, annotated_file, nothing_in
from medrov_cli.core.datasets.readers.shared.studio_regions import (
    HINT,
    bad_task,
    region_annotations,
    stated_size,
)
from medrov_cli.core.datasets.split_names import split_named
from medrov_cli.core.datasets.writers.exported_images import safe_case
from medrov_cli.core.datasets.writers.label_studio import CONFIG_FILE, MAIN_FILE
from medrov_cli.core.datasets.xml_files import read_xml
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage
from medrov_cli.core.settings.data_convert import ReaderSettings


def read(config: ReaderSettings) -> Reading:
    """List one unit a task, in natural order of its image's address.

    ``data.split`` and ``data.case`` are kept; a case that is not hashed becomes so.

    Raises
    ------
    MedrovError
        ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    file = config.path / MAIN_FILE if config.path.is_dir() else config.path
    tasks = sorted(_tasks(file), key=lambda task: natural_key(_address(task)))
    places = _places(tasks)
    stems = file_stems(places)
    if len(stems) != len(tasks):
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} names one image twice", HINT)
    finder = ImageFinder(config.images or file.parent)
    found = finder.find_each([_address(task) for task in tasks])

    def unit(task: Mapping[str, Any], place: str, path: Path) -> Unit:
        data = task["data"]

        def images_of() -> Iterator[AnnotatedImage]:
            results = _results(task)
            yield annotated_file(
                path,
                stems[place],
                lambda height, width: region_annotations(results, height, width),
                AnnotatedGrid("its task", stated_size(results)),
                case=case_in_path(place, config.case)
                if config.case
                else safe_case(data.get("case"), config.source),
                split=split_named(data.get("split")),
            )

        return Unit(place, images_of)

    units = tuple(
        failing_unit(place, path) if isinstance(path, MedrovError) else unit(task, place, path)
        for task, place, path in zip(tasks, places, found, strict=True)
    )
    left = finder.unused(path for path in found if isinstance(path, Path))
    what = f"{len(left)} image file(s) are not in {file.name} and were left out: {listed(left)}"
    return Reading(units, _class_names(file.parent / CONFIG_FILE), (what,) if left else ())


def _tasks(file: Path) -> list[dict[str, Any]]:
    try:
        tasks = read_json(file, allow_nan=True)
    except OSError:
        raise nothing_in(file, "no readable content", HINT) from None
    except DocumentError as error:
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} {error}", HINT) from None
    if not isinstance(tasks, list):
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} is not a list of tasks", HINT)
    if not tasks:
        raise nothing_in(file, "no task", HINT)
    for task in tasks:
        data = task.get("data") if isinstance(task, dict) else None
        is_task = isinstance(data, dict) and _image_key(data) is not None
        if not is_task or not isinstance(task.get("annotations", []), list):
            raise MedrovError(
                ErrorCode.DATASET_INVALID, f"{file} has a task without data.image and annotations", HINT
            )
    return tasks


def _class_names(file: Path) -> tuple[str, ...]:
    """Return the labels of the interface that is beside the tasks, if it is."""
    if not is_file(file):
        return ()
    labels = ((label.get("value") or "").strip() for label in read_xml(file).iter("Label"))
    return tuple(dict.fromkeys(label for label in labels if label))


def _address(task: Mapping[str, Any]) -> str:
    return str(task["data"][_image_key(task["data"])])


def _image_key(data: Mapping[str, Any]) -> str | None:
    """Return the key of the image's address: ``image``, else the only one whose text has an image's suffix.

    The labelling interface names it; exports do not contain the interface.
    """
    if isinstance(data.get("image"), str):
        return "image"
    texts = [(key, address_readings(text)) for key, text in data.items() if isinstance(text, str)]
    keys = [
        key
        for key, paths in texts
        if any(PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES for path in paths)
    ]
    return keys[0] if len(keys) == 1 else None


def _places(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the tasks' images in reports: their paths without the part of a server."""
    paths = [
        unquote((address_readings(_address(task)) or (_address(task),))[0]).lstrip("/") for task in tasks
    ]
    short = [path.partition("images/")[2] or path for path in paths]
    return short if len(set(short)) == len(short) else paths


def _results(task: Mapping[str, Any]) -> list[Any]:
    """Return the results of the annotation that counts."""
    done = [a for a in task.get("annotations", []) if isinstance(a, dict) and not a.get("was_cancelled")]
    if not done:
        raise bad_task("has no annotation", "Annotate it, or export without it.")
    last = max(
        enumerate(done),
        key=lambda own: (
            bool(own[1].get("ground_truth")),
            str(own[1].get("updated_at") or own[1].get("created_at") or ""),
            own[0],
        ),
    )[1]
    results = last.get("result")
    if not isinstance(results, list):
        raise bad_task("has an annotation without results", HINT)
    return results


READER: Reader = read
