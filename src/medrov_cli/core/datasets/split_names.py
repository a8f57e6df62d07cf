"""Names of splits in files and folders of other programs."""

from __future__ import annotations

import re
from pathlib import PurePath

from medrov_cli.core.settings.choices import Split

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
