"""Splits in files and folders of other programs: their names, and images that are in several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from medrov_cli.core.settings.choices import SPLITS, Split

_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_named(name: object) -> Split | None:
    """Return the split of a name such as ``valid`` or ``val2017``; None if it names none."""
    if not isinstance(name, str):
        return None
    return _SPLITS.get(name.strip().casefold().rstrip("0123456789"))


def split_in_file_name(path: PurePath) -> Split | None:
    """Return the split that a word of a file's name or else its folder's whole name states."""
    words = re.split(r"[\W_]+", path.stem)
    stated = {split for split in map(split_named, words) if split is not None}
    return stated.pop() if len(stated) == 1 else split_named(path.parent.name)


def split_of_folders(path: PurePath) -> Split | None:
    """Return the split that the nearest of a relative path's folders with such a name states."""
    return next(filter(None, (split_named(folder.name) for folder in path.parents)), None)


def strongest_split(splits: Iterable[Split | None]) -> Split | None:
    """Return the split of an image that is in several: test if it is there, else val, as `split --repair`."""
    return max(splits, key=lambda split: -1 if split is None else SPLITS.index(split))
