"""Names of the files that are made for one image: readable, and never the same for two images."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePath

_RESERVED = re.compile(r"_+(root|up)")
_MAX_PART_BYTES = 200  # file systems take 255 a name; temporary names and suffixes need room


def output_path(folder: Path, path: str, frame: int, frame_count: int | None, suffix: str) -> Path:
    """Return where the file for one image goes, below ``folder``.

    The input's own relative path is kept, so that the name of one image does not depend on
    the other inputs: shards and resumed runs agree. The root becomes ``_root``, a step up
    ``_up``, and a real folder of such a name gets one more underscore. The frames of an input
    with several (or an unknown number) are files in a folder of the input's name.

    Parameters
    ----------
    folder
        Where all files of this kind go.
    path
        The input as it was given.
    frame
        0-based number of the frame.
    frame_count
        Number of frames of the input; null where it is not known.
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


def _plain(part: str) -> str:
    """Return one step of a path as it may stand in a name."""
    if part == "..":
        return "_up"
    if _RESERVED.fullmatch(part):
        return "_" + part
    if len(part.encode(errors="surrogateescape")) <= _MAX_PART_BYTES:
        return part
    digest = hashlib.sha256(part.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{part[:40]}-{digest}"
