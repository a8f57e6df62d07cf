"""Names of the output files of an image, readable and distinct."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

from medrov_cli.core.base.name_collisions import collision_key

_RESERVED = re.compile(r"_+(root|up)")
_MAX_PART_BYTES = 200  # file systems allow 255 bytes per name, including temporary names and suffixes


def output_path(folder: Path, path: str, frame: int, frame_count: int | None, suffix: str) -> Path:
    """Return the path of the file for one image, below ``folder``.

    The relative path of the input is kept, so that the name does not depend on the other inputs, and is equal
    in shards and resumed runs. The root becomes ``_root``, the parent folder ``_up``, and an underscore is
    added to folders with one of these names. The frames of an input with several (or an unknown number of)
    frames are files in a folder with the name of the input.

    Parameters
    ----------
    folder
        Folder of all files of this kind.
    path
        Path of the input as given.
    frame
        0-based number of the frame.
    frame_count
        Number of frames of the input; null if it is unknown.
    suffix
        Suffix of the file, with its dot.
    """
    pure = PurePath(path)
    parts = [_plain(part) for part in pure.parts[1 if pure.anchor else 0 :]]
    if pure.anchor:
        parts.insert(0, "_root")
    target = folder.joinpath(*parts)
    if frame_count != 1:
        return target / f"frame-{frame:05d}{suffix}"
    return target.with_name(target.name + suffix)


def without_suffix(path: str) -> str:
    """Return a path without its last suffix."""
    return str(Path(path).with_suffix(""))


def distinct_names(paths: Iterable[str], suffix: str, *, is_short: bool = False) -> dict[str, str]:
    """Return names for the paths whose output files could collide with those of other paths.

    Two paths collide if some file system takes the names of their files for one (letter case, Unicode
    normalization), or if the file of one would be the folder of the other. The name of a colliding path ends
    in the first 8 digits of the SHA-256 of the path, before the suffix.

    Parameters
    ----------
    paths
        Paths of inputs as given, for :func:`output_path`.
    suffix
        Suffix of the output files, with its dot.
    is_short
        Whether a path without its suffix is the first choice, and the path the second.

    Returns
    -------
    dict of str to str
        Name by path. A path that is absent has its first choice.
    """
    own = set(paths)
    short = {path: without_suffix(path) for path in own} if is_short else {}
    full_uses = Counter(key for path in own for key in _keys((path,), suffix))
    uses = Counter(key for path in own for key in _keys((path, short[path]), suffix)) if short else full_uses
    names = {}
    for path in own:
        if _is_free(short.get(path, path), suffix, uses):
            continue
        if not _is_free(path, suffix, full_uses):
            made = _with_digests(path)
            names[path] = next(name for name in made if _is_free(name, suffix, uses, most=0))
        elif is_short:
            names[path] = path
    return names


def _keys(names: Iterable[str], suffix: str) -> set[str]:
    """Return the keys of all files and folders that an input with one of these names may write."""
    keys = set()
    for name in names:
        place = output_path(Path(), name, 0, 1, "")
        keys |= {collision_key(str(place)), collision_key(f"{place}{suffix}")}
        keys |= {collision_key(str(folder)) for folder in place.parents[:-1]}
    return keys


def _is_free(name: str, suffix: str, uses: Counter[str], most: int = 1) -> bool:
    place = output_path(Path(), name, 0, 1, "")
    return all(uses[collision_key(text)] <= most for text in (str(place), f"{place}{suffix}"))


def _with_digests(path: str) -> Iterable[str]:
    pure = PurePath(path)
    digest = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()
    for length in (8, 16, 64):
        yield str(pure.with_name(f"{pure.stem}-{digest[:length]}{pure.suffix}"))


def _plain(part: str) -> str:
    """Return one part of a path in a form that is valid in a name."""
    if part == "..":
        return "_up"
    if _RESERVED.fullmatch(part):
        return "_" + part
    if len(part.encode(errors="surrogateescape")) <= _MAX_PART_BYTES:
        return part
    digest = hashlib.sha256(part.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{part[:40]}-{digest}"
