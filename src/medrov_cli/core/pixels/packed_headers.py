"""Headers of volumes in archives, with the data files that they name, in a temporary folder.

The rules of files on a disk hold (see `detached`): they find the data files among empty files with the names
of members, which are then filled.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.scratch import scratch_folder
from medrov_cli.core.pixels.archives import find_archive
from medrov_cli.core.pixels.detached import data_files_of
from medrov_cli.core.pixels.inflation import archive_too_large
from medrov_cli.core.pixels.volumes.text_header import HEADER_BYTES

_DATA_FIELD = re.compile(
    r"^(?:data ?file|elementdatafile)[ \t]*[:=][ \t]*(?!local[ \t]*$)(.*)", re.MULTILINE | re.DOTALL
)
"""Field of NRRD or MetaImage that names data files, and the lines behind it, which may be a list of names."""


@contextmanager
def unpack_header(file: BinaryIO, base: str, rest: str, limits: InputLimits) -> Iterator[str]:
    """Return the path of a copy of a header, with its data files in their places beside it.

    Parameters
    ----------
    file
        The header, at its start.
    base, rest
        The archive and the name of the member; see `archives.split_member`.
    limits
        Of the size of all copies.

    Raises
    ------
    MedrovError
        ``too_large``, ``decode_failed`` or ``truncated``.
    """
    archive, member = find_archive(base, rest, limits)
    inside = posixpath.dirname(member)
    start = len(inside) + 1 if inside else 0
    named = _DATA_FIELD.search(file.read(HEADER_BYTES).decode("utf-8", errors="replace").casefold())
    text = "" if named is None else named[1]
    file.seek(0)
    with scratch_folder() as folder:
        header = folder / posixpath.basename(member)
        with header.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        members = {}
        for name in archive.names:
            if name != member and name[:start] == member[:start] and _may_be_named(name, member, text):
                target = folder / name[start:]
                with suppress(OSError):  # a file and a folder of one name, a name that is too long
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.touch()
                    members[os.path.realpath(target)] = name
        total = 0
        for path in map(os.path.realpath, data_files_of(str(header))):
            if path not in members:
                continue
            with archive.copy(members[path]) as data, Path(path).open("wb") as target_file:
                shutil.copyfileobj(data, target_file)
                total += data.tell()
            if total > limits.inflated_bytes:
                raise archive_too_large(f"has data files of more than {limits.inflated_bytes} bytes")
        yield str(header)


def _may_be_named(name: str, header: str, text: str) -> bool:
    """Return whether a header may name a member: by its own name, in a list, or by a pattern of numbers."""
    own = posixpath.basename(name).casefold()
    stem = posixpath.basename(header).casefold().partition(".hdr")[0]
    return own.startswith(f"{stem}.") or own in text or "%" in text
