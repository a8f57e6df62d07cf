"""Read Label Studio's JSON export: tasks with rectangles in percents.

Of several annotations of a task, the one counts that is marked as ground truth, else the one that was
changed last; skipped ones do not. A task that nobody has annotated fails: it is no negative image.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.addresses import find_image, local_names
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems
from medrov_cli.core.datasets.readers.shared.raster_images import annotated_file, expect_size, nothing_in
from medrov_cli.core.datasets.readers.shared.rotated_boxes import enclosing_box
from medrov_cli.core.datasets.writers.exported_images import safe_case
from medrov_cli.core.datasets.writers.label_studio import CONFIG_FILE, MAIN_FILE
from medrov_cli.core.datasets.xml_files import read_xml
from medrov_cli.core.pixels.inputs import natural_key
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import SPLITS, Split
from medrov_cli.core.settings.data_convert import ReaderSettings

_HINT = "Export from Label Studio as JSON (not JSON-MIN), and give that file."
_KIND = "rectanglelabels"
_DIGITS = 4


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
    stems = file_stems([_place(task) for task in tasks])
    if len(stems) != len(tasks):
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} names one image twice", _HINT)
    # Addresses begin with "images/" or not, depending on what was imported: both are tried.
    folder = config.images or file.parent

    def unit(task: Mapping[str, Any]) -> Unit:
        place, data = _place(task), task["data"]

        def images_of() -> Iterator[AnnotatedImage]:
            results = _results(task)
            names = local_names(_address(task))
            yield annotated_file(
                find_image(folder, [*names, *(f"images/{name}" for name in names)]),
                stems[place],
                lambda height, width: _boxes(results, height, width),
                case=case_in_path(place, config.case)
                if config.case
                else safe_case(data.get("case"), config.source),
                split=_split(data.get("split")),
            )

        return Unit(place, images_of)

    return Reading(tuple(unit(task) for task in tasks), _class_names(file.parent / CONFIG_FILE))


def _tasks(file: Path) -> list[dict[str, Any]]:
    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise nothing_in(file, "no readable content", _HINT) from None
    except ValueError:
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} is not a JSON file", _HINT) from None
    if not isinstance(tasks, list):
        raise MedrovError(ErrorCode.DATASET_INVALID, f"{file} is not a list of tasks", _HINT)
    if not tasks:
        raise nothing_in(file, "no task", _HINT)
    for task in tasks:
        data = task.get("data") if isinstance(task, dict) else None
        is_task = isinstance(data, dict) and isinstance(data.get("image"), str)
        if not is_task or not isinstance(task.get("annotations", []), list):
            raise MedrovError(
                ErrorCode.DATASET_INVALID, f"{file} has a task without data.image and annotations", _HINT
            )
    return tasks


def _class_names(file: Path) -> tuple[str, ...]:
    """Return the labels of the interface that is beside the tasks, if it is."""
    if not file.is_file():
        return ()
    labels = (label.get("value") or "" for label in read_xml(file).iter("Label"))
    return tuple(dict.fromkeys(label for label in labels if label))


def _address(task: Mapping[str, Any]) -> str:
    return str(task["data"]["image"])


def _place(task: Mapping[str, Any]) -> str:
    """Return what a task's image is called in reports: its path, without what a server puts before it."""
    names = local_names(_address(task)) or (_address(task),)
    return names[0].partition("images/")[2] or names[0]


def _split(value: Any) -> Split | None:
    return next((split for split in SPLITS if split == value), None)


def _results(task: Mapping[str, Any]) -> list[Any]:
    """Return the results of the annotation that counts."""
    done = [a for a in task.get("annotations", []) if isinstance(a, dict) and not a.get("was_cancelled")]
    if not done:
        raise _bad("has no annotation", "Annotate it, or export without it.")
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
        raise _bad("has an annotation without results", _HINT)
    return results


def _boxes(results: list[Any], height: int, width: int) -> tuple[Annotation, ...]:
    found: list[Annotation] = []
    for result in results:
        kind = result.get("type") if isinstance(result, dict) else None
        if kind == _KIND:
            found += _annotations(result, height, width)
        elif not isinstance(kind, str) or kind.endswith("labels"):
            raise _bad(f"has a region of the type {kind}, and only {_KIND} are read", "Draw a rectangle.")
    return tuple(found)


def _annotations(result: Mapping[str, Any], height: int, width: int) -> list[Annotation]:
    """Return one annotation a label of the region."""
    value = result.get("value")
    labels = value.get(_KIND) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(labels, list) or not labels:
        raise _bad("has a rectangle without a label", _HINT)
    said = (result.get("original_height"), result.get("original_width"))
    if isinstance(said[0], int) and isinstance(said[1], int):
        expect_size(height, width, (said[0], said[1]), "its task")
    if result.get("image_rotation"):
        raise _bad("has an image that was rotated in Label Studio", "Undo the rotation, and check its boxes.")
    x, y, w, h = (_number(value, key) for key in ("x", "y", "width", "height"))
    box = (x * width / 100, y * height / 100, w * width / 100, h * height / 100)
    around = enclosing_box(box, _number(value, "rotation"), box[:2])
    left, top, wide, high = (round(number, _DIGITS) + 0.0 for number in around)
    meta = result.get("meta")
    crowd = isinstance(meta, dict) and meta.get("crowd") is True
    return [Annotation(str(label), (left, top, wide, high), None, crowd) for label in labels]


def _number(value: Mapping[str, Any], key: str) -> float:
    number = value.get(key, 0 if key == "rotation" else None)
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise _bad(f"has a rectangle without a number in {key}", _HINT)
    return float(number)


def _bad(what: str, hint: str) -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, f"The task {what}.", hint)


READER: Reader = read
