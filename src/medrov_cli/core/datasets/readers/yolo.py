"""Read ultralytics' YOLO layout: ``data.yaml``, images, and a text file of boxes an image.

A line is ``class centre_x centre_y width height``, or ``class x y x y x y ...`` (the corners of a polygon),
lengths as parts of the image's width and height. An image without a text file has no objects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path
from medrov_cli.core.datasets.readers.protocol import Reader, Reading, Unit
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems, raster_files
from medrov_cli.core.datasets.readers.shared.raster_images import annotated_file, nothing_in
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.settings.choices import SPLITS, Split
from medrov_cli.core.settings.data_convert import ReaderSettings

_HINT = "Give data.yaml, or the folder that holds it: it needs 'names', and 'train', 'val' or 'test'."
_DIGITS = 4  # in pixels: the six digits that YOLO files have are worth no more in images up to 100 Mpx


def read(config: ReaderSettings) -> Reading:
    """List one unit an image of the splits that the yaml names.

    Raises
    ------
    MedrovError
        ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    file = _yaml_file(config.path)
    document = _document(file)
    names = _names(file, document)
    root = _root(file, document)
    found = _images(file, root, document)
    if not found:
        raise nothing_in(file, "names of missing images only", _HINT)
    shown = {path: _shown(path, root) for path in found}
    stems = file_stems(list(shown.values()))

    def unit(path: Path, split: Split) -> Unit:
        def images_of() -> Iterator[AnnotatedImage]:
            yield annotated_file(
                path,
                stems[shown[path]],
                lambda height, width: _boxes(_label_file(path), names, height, width),
                case=case_in_path(shown[path], config.case),
                split=split,
            )

        return Unit(shown[path], images_of)

    units = tuple(unit(path, split) for path, split in found.items())
    return Reading(units, tuple(dict.fromkeys(names.values())))


def _yaml_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.yaml")) + sorted(path.glob("*.yml"))
    chosen = [file for file in files if file.stem == "data"] or files
    if len(chosen) != 1:
        raise nothing_in(path, "no data.yaml" if not files else "several yaml files", _HINT)
    return chosen[0]


def _document(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError:
        raise nothing_in(file, "no readable content", _HINT) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise _invalid(file, "is not a yaml file") from None
    if not isinstance(document, dict):
        raise _invalid(file, "is not a mapping")
    return document


def _names(file: Path, document: dict[str, Any]) -> dict[int, str]:
    names = document.get("names")
    if isinstance(names, list) and names:
        return {number: str(name).strip() for number, name in enumerate(names)}
    if isinstance(names, dict) and names and all(isinstance(key, int) for key in names):
        return {key: str(names[key]).strip() for key in sorted(names)}
    raise _invalid(file, "has no 'names'")


def _root(file: Path, document: dict[str, Any]) -> Path:
    """Return the folder of the splits: the yaml's own where its ``path`` is of another machine."""
    named = file.parent / str(document.get("path") or ".")
    return named if named.is_dir() else file.parent


def _images(file: Path, root: Path, document: dict[str, Any]) -> dict[Path, Split]:
    """Return all images in order, each with the first split that names it."""
    found: dict[Path, Split] = {}
    for split in SPLITS:
        given = document.get(split)
        for entry in given if isinstance(given, list) else [given] if given else []:
            place = root / str(entry)
            if not place.exists() and str(entry).startswith("../"):  # a habit of exports: ../train/images
                place = root / str(entry).removeprefix("../")
            if place.is_dir():
                paths = [place / path for path in raster_files(place)]
            elif place.is_file() and place.suffix == ".txt":
                lines = place.read_text(encoding="utf-8").splitlines()
                paths = [root / line.strip() for line in lines if line.strip()]
            else:
                raise _invalid(file, f"names {entry!r} for {split}, which does not exist")
            for path in paths:
                found.setdefault(path, split)
    return found


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _label_file(image: Path) -> Path:
    """Return where ultralytics looks for the boxes: the last folder ``images`` becomes ``labels``."""
    parts = list(image.parts)
    at = max((number for number, part in enumerate(parts[:-1]) if part == "images"), default=None)
    if at is not None:
        parts[at] = "labels"
    return Path(*parts).with_suffix(".txt")


def _boxes(file: Path, names: dict[int, str], height: int, width: int) -> tuple[Annotation, ...]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError):
        raise _bad("cannot be read") from None
    # Ultralytics, too, takes equal lines for one object.
    return tuple(_box(line, names, height, width) for line in dict.fromkeys(lines) if line.strip())


def _box(line: str, names: dict[int, str], height: int, width: int) -> Annotation:
    parts = line.split()
    if not re.fullmatch(r"\d+(\.0*)?", parts[0]) or int(float(parts[0])) not in names:
        raise _bad("names a class that data.yaml does not")
    name = names[int(float(parts[0]))]
    try:
        numbers = [float(part) for part in parts[1:]]
    except ValueError:
        numbers = [math.nan]
    is_box, is_polygon = len(numbers) == 4, len(numbers) >= 6 and len(numbers) % 2 == 0
    if not (is_box or is_polygon) or not all(math.isfinite(number) for number in numbers):
        raise _bad("has a line that is neither a box nor a polygon")
    if is_box:
        x, y, w, h = numbers
        box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        return Annotation(name, _rounded(box))
    xs, ys = [x * width for x in numbers[::2]], [y * height for y in numbers[1::2]]
    box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    return Annotation(name, _rounded(box), round(_polygon_area(xs, ys), _DIGITS))


def _polygon_area(xs: list[float], ys: list[float]) -> float:
    """Return the area of a polygon by its corners (the shoelace formula)."""
    following = zip(xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    return abs(sum(x * v - u * y for x, y, (u, v) in zip(xs, ys, following, strict=True))) / 2


def _rounded(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, w, h = (round(value, _DIGITS) + 0.0 for value in box)  # no negative zeros
    return x, y, w, h


def _invalid(file: Path, what: str) -> MedrovError:
    return MedrovError(ErrorCode.DATASET_INVALID, f"{file} {what}", _HINT)


def _bad(what: str) -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, f"The label file {what}.", "Correct it, or export it again.")


READER: Reader = read
