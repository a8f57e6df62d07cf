"""Descriptions of YOLO datasets: data.yaml of ultralytics, obj.data of Darknet and CVAT, or classes.txt."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError, exists, is_file, is_folder, read_text
from medrov_cli.core.datasets.image_names import fold_name
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder
from medrov_cli.core.datasets.readers.shared.raster_files import raster_files
from medrov_cli.core.datasets.readers.shared.raster_images import nothing_in
from medrov_cli.core.datasets.readers.shared.yolo_lines import LabelForm
from medrov_cli.core.datasets.split_names import split_of_folders, strongest_split
from medrov_cli.core.datasets.yaml_files import read_yaml
from medrov_cli.core.settings.choices import SPLITS, Split

HINT = "Give data.yaml, or the folder that holds it: it needs 'names', and 'train', 'val' or 'test'."
_DARKNET = "obj.data"
_MOST_PARTS = 32  # last folders of an entry that are tried without the folders before them
_SHOWN = 100  # characters of an entry in a message
_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
_KEYS: dict[Split, tuple[str, ...]] = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


@dataclass(frozen=True, slots=True)
class YoloSet:
    """What the description of a dataset states.

    Attributes
    ----------
    file, root
        The description, and the folder to which its paths are relative.
    form
        Classes and keypoints.
    images
        Split by image, as absolute path, in order; None where none is stated.
    missing
        Image paths of lists that lead to no file, with the reason.
    repeated
        Images that are in several splits.
    """

    file: Path
    root: Path
    form: LabelForm
    images: Mapping[Path, Split | None]
    missing: Mapping[str, MedrovError] = field(default_factory=dict)
    repeated: Sequence[Path] = ()


def read_yolo_set(path: Path, images: Path | None) -> YoloSet:
    """Read the description of a dataset and list its images.

    Raises
    ------
    MedrovError
        ``not_found``, ``no_input`` or ``dataset_invalid``.
    """
    file = _description(path)
    if file.name.casefold() in _NAME_FILES:
        root = file.parent
        folder = images or root
        splits = {_normal(folder / name): split_of_folders(Path(name)) for name in raster_files(folder)}
        return YoloSet(file, root, LabelForm(_names_of_file(file)), splits)
    document = _darknet(file) if file.suffix.casefold() == ".data" else _yaml(file)
    named = file.parent / str(document.get("path") or ".").replace("\\", "/")
    root = (
        named if is_folder(named) else file.parent
    )  # the yaml's own folder where its path is of another machine
    form = LabelForm(_names(file, root, document.get("names")), _keypoints(file, document.get("kpt_shape")))
    finder = ImageFinder(*([] if images is None else [images]), root, base=file.parent)
    found: dict[Path, list[Split]] = defaultdict(list)
    missing: dict[str, MedrovError] = {}
    for split in SPLITS:
        for entry in _entries(document, split):
            for own in _images_of(file, root, entry, split, finder):
                if isinstance(own, Path):
                    found[_normal(own)].append(split)
                else:
                    missing.setdefault(*own)
    chosen = {path: strongest_split(splits) for path, splits in found.items()}
    repeated = [path for path, splits in found.items() if len(set(splits)) > 1]
    return YoloSet(file, root, form, chosen, missing, repeated)


def _normal(path: Path) -> Path:
    """Return the one absolute spelling of a path, so that an image of two splits is one image."""
    return Path(os.path.normpath(path.absolute()))


def _description(path: Path) -> Path:
    """Return the file that describes the dataset in a folder."""
    if not is_folder(path):
        return path
    files = sorted(path.glob("*.yaml")) + sorted(path.glob("*.yml"))
    chosen = [file for file in files if file.stem.casefold() in ("data", "dataset")] or files
    if len(chosen) == 1:
        return chosen[0]
    if files:
        raise nothing_in(path, "several yaml files", HINT)
    for name in (_DARKNET, *_NAME_FILES):
        if is_file(path / name):
            return path / name
    raise nothing_in(path, "no data.yaml", HINT)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        document, texts = read_yaml(file), read_yaml(file, as_texts=True)
    except OSError:
        raise nothing_in(file, "no readable content", HINT) from None
    except DocumentError as error:
        raise invalid_set(file, str(error)) from None
    if not isinstance(document, dict):
        raise invalid_set(file, "is not a mapping")
    return {**document, "names": texts.get("names")}  # a class may be called 'no' or '010'


def _darknet(file: Path) -> dict[str, Any]:
    """Return the lines ``key = value`` of an obj.data."""
    lines = [line.partition("=") for line in _lines(file) if "=" in line]
    return {key.strip().casefold(): value.strip() for key, _, value in lines}


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in _text(file).splitlines() if line.strip()]


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError:
        raise nothing_in(file, "no readable content", HINT) from None
    except DocumentError as error:
        raise invalid_set(file, str(error)) from None


def _names(file: Path, root: Path, names: Any) -> dict[int, str]:
    if isinstance(names, str) and names:
        place = _place(root, names)
        if place is None:
            raise invalid_set(file, f"names {_shown(names)} for the classes, which does not exist")
        return _names_of_file(place)
    if isinstance(names, list) and names:
        return {number: str(name).strip() for number, name in enumerate(names)}
    if isinstance(names, dict) and names and all(re.fullmatch(r"\s*\d{1,18}\s*", str(key)) for key in names):
        numbered = {int(str(key).strip()): str(name).strip() for key, name in names.items()}
        if len(numbered) == len(names):
            return dict(sorted(numbered.items()))
    raise invalid_set(file, "has no 'names'")


def _names_of_file(file: Path) -> dict[int, str]:
    lines = [line.strip() for line in _text(file).strip().splitlines()]
    names = {number: name for number, name in enumerate(lines) if name}  # an empty line has a number, too
    if not names:
        raise invalid_set(file, "has no class names")
    return names


def _keypoints(file: Path, shape: Any) -> tuple[int, int] | None:
    if shape is None:
        return None
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) and n > 0 for n in shape):
        return shape[0], shape[1]
    raise invalid_set(file, "has a kpt_shape that is not two numbers")


def _entries(document: Mapping[str, Any], split: Split) -> list[str]:
    given = next((document[key] for key in _KEYS[split] if document.get(key)), None)
    return [str(entry) for entry in (given if isinstance(given, list) else [given] if given else [])]


def _images_of(
    file: Path, root: Path, entry: str, split: Split, finder: ImageFinder
) -> Iterator[Path | tuple[str, MedrovError]]:
    """Yield the images of a folder or a list, or the line of a list and why it leads to no image."""
    place = _place(root, entry)
    if place is None:
        raise invalid_set(file, f"names {_shown(entry)} for {split}, which does not exist")
    if is_folder(place):
        yield from (place / path for path in raster_files(place))
    elif place.suffix.casefold() == ".txt":
        lines = list(dict.fromkeys(_lines(place)))
        for line, found in zip(lines, finder.find_each(lines), strict=True):
            yield found if isinstance(found, Path) else (line.replace("\\", "/"), found)
    else:
        raise invalid_set(file, f"names {_shown(entry)} for {split}, which is neither a folder nor a list")


def _place(root: Path, entry: str) -> Path | None:
    """Return the file or folder that an entry names, with or without the first folders of its path.

    Exports write ``../train/images`` for ``train/images``, and ``data/train.txt`` for ``train.txt``.
    """
    path = entry.replace("\\", "/")
    if exists(root / path):
        return root / path
    parts = [part for part in path.split("/") if part not in ("", ".", "..")][-_MOST_PARTS:]
    ends = [parts[start:] for start in range(len(parts))]
    exact = (root.joinpath(*end) for end in ends)
    return next((end for end in exact if exists(end)), None) or next(
        (place for place in (_folded_place(root, end) for end in ends) if place is not None), None
    )


def _folded_place(root: Path, parts: Sequence[str]) -> Path | None:
    """Return the only file or folder of a path whose names differ by letter case at most."""
    places = [root]
    for part in parts:
        inside = (path for place in places if is_folder(place) for path in place.iterdir())
        places = [path for path in inside if fold_name(path.name) == fold_name(part)]
    return places[0] if len(places) == 1 else None


def _shown(entry: str) -> str:
    return repr(entry if len(entry) <= _SHOWN else f"{entry[:_SHOWN]}...")


def invalid_set(file: Path, what: str) -> MedrovError:
    """Return the error of a description that cannot be used."""
    return MedrovError(ErrorCode.DATASET_INVALID, f"{file} {what}", HINT)
