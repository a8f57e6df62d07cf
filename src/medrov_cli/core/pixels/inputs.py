"""Expansion of command arguments to the list of files to read, in a fixed order."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.disk_list import DiskList
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.store_addresses import check_address, is_address
from medrov_cli.core.pixels.detached import data_files_of, is_detached_header
from medrov_cli.core.pixels.equal_keys import EqualKeys
from medrov_cli.core.pixels.folder_walk import walk_folders
from medrov_cli.core.pixels.folders import FolderSearch, PicturesIn
from medrov_cli.core.pixels.found_files import FoundFile, SkippedFile
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.pixels.object_store import list_folders, match_addresses
from medrov_cli.core.pixels.path_lists import read_paths
from medrov_cli.core.pixels.remote_members import PREFIX
from medrov_cli.core.records.slice_plane import PlacedSlice

_DATA = -1
"""Number of the voxels of a header among the files of a place: before all files."""

STDIN = "-"
"""Argument for a list of paths on standard input."""


@dataclass(frozen=True, slots=True)
class Input:
    """File to read.

    Attributes
    ----------
    path
        As given by the user, or as found below a given folder or archive. It need not exist:
        reading then fails with ``not_found``.
    series
        Paths of all files of its DICOM series in the same folder, in order; empty outside of folders.
    warnings
        Warnings about the file among the others.
    placed
        Place of a slice of a DICOM series in the patient; null outside of folders.
    """

    path: str
    series: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    placed: PlacedSlice | None = None


class InputList(DiskList[Input]):
    """Inputs of a run: memory does not depend on their number."""

    def to_row(self, item: Input) -> Any:
        """Return the path of an input, or its fields."""
        if item.series or item.warnings or item.placed is not None:
            return item.path, item.series, item.warnings, item.placed
        return item.path

    def from_row(self, row: Any) -> Input:
        """Return the input of a row."""
        return Input(row) if isinstance(row, str) else Input(*row)


class _FileList(DiskList[FoundFile]):
    """Files that were found, before copies are left out."""

    def to_row(self, item: FoundFile) -> Any:
        fields = (item.path, item.series, item.instance_uid, item.place, item.warnings, item.placed)
        return fields if any(fields[1:]) else item.path

    def from_row(self, row: Any) -> FoundFile:
        return FoundFile(row) if isinstance(row, str) else FoundFile(*row)


@dataclass(frozen=True, slots=True)
class FoundInputs:
    """Files of the arguments.

    Attributes
    ----------
    inputs
        Files to read.
    skipped
        Files below folders and in archives that could be expected among them, with the reason.
    """

    inputs: InputList
    skipped: tuple[SkippedFile, ...]


def expand_inputs(
    arguments: Sequence[str], *, stdin: Iterable[str] | None = None, ends_with_null: bool = False
) -> list[Input]:
    """Return the files of the arguments; see `find_inputs`."""
    return list(find_inputs(arguments, stdin=stdin, ends_with_null=ends_with_null).inputs)


def find_inputs(
    arguments: Sequence[str],
    *,
    stdin: Iterable[str] | None = None,
    ends_with_null: bool = False,
    offline: bool = False,
    pictures_in: PicturesIn | None = None,
) -> FoundInputs:
    """List the files of the arguments, each once, in a deterministic order.

    - A file, or a name that does not exist, is kept: reading it succeeds or fails later.
    - A folder is searched recursively, in natural order of names, links to folders included; each folder
      is searched once. DICOM files of one folder are
      grouped by series and ordered by position. Hidden files, and files that are images neither
      by content nor by name (``.json``, ``.txt``, ...), are left out. A folder
      without any image is one input, which then fails.
    - An archive (zip, tar) is searched like a folder. One without any image is one input, which then fails.
    - DICOM objects that are no images, and second copies of an instance, are skipped below folders and in
      archives.
    - A pattern (``*``, ``?``, ``[...]``, ``**``) that names no existing file is expanded.
    - ``-`` means the paths in ``stdin``, one per line, without patterns.
    - ``dicomweb:URL/studies/UID`` is retrieved into a temporary archive, which is searched. A series, or an
      instance of it, can follow.
    - ``s3://``, ``gs://``, ``file://`` and ``memory://`` are addresses of object stores: of an object, of a
      folder, or a pattern. They are read where they are.
    - A file with the voxels of a header (``.hdr``, ``.nhdr``, ``.mhd``) that is read, too, is left out.

    Parameters
    ----------
    arguments
        As given on the command line.
    stdin
        Standard input, or its lines; required only if ``-`` is among the arguments.
    ends_with_null
        Whether a null character ends each path on standard input, instead of a line end.
    offline
        Whether the network is forbidden.
    pictures_in
        See :class:`medrov_cli.core.pixels.folders.FolderSearch`.

    Raises
    ------
    MedrovError
        ``usage`` if ``-`` is given without a ``stdin``; errors of the network for ``dicomweb:``.
    """
    search = FolderSearch(InputLimits(), pictures_in)
    base = _working_folder()
    files, places, instances = _FileList(), EqualKeys(), EqualKeys()
    for argument in arguments:
        if is_address(argument):
            check_address(argument, offline=offline)
        expanded = (
            search.members(_retrieve(argument, offline))
            if argument.startswith(PREFIX)
            else _expand(argument, stdin, search, ends_with_null=ends_with_null, offline=offline)
        )
        for file in expanded:
            place = os.path.normpath(os.path.join(base, file.path))  # noqa: PTH118 - keeps links
            places.add(place, len(files))
            for data in data_files_of(place) if is_detached_header(place) else ():
                places.add(os.path.normpath(data), _DATA)
            if file.instance_uid:
                instances.add(file.instance_uid, len(files))
            files.append(file)
    left_out = bytearray(len(files))
    for _, *others in places.groups():  # the first file of a place, or the header that reads it, is kept
        for number in others:
            left_out[number] |= number != _DATA
    copies = [[number for number in group if not left_out[number]] for group in instances.groups()]
    kept = search.without_copies(
        (file for number, file in enumerate(files) if not left_out[number]),
        ([files[number] for number in group] for group in sorted(copies)),
    )
    inputs = InputList.build(Input(file.path, file.series, file.warnings, file.placed) for file in kept)
    return FoundInputs(inputs, tuple(search.skipped))


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a text, for each file of a list
    except OSError:  # it was removed
        return ""


def _retrieve(argument: str, offline: bool) -> list[str]:
    from medrov_cli.core.pixels.dicomweb.retrieve import retrieve

    return retrieve(argument, offline=offline)


def _expand(
    argument: str,
    stdin: Iterable[str] | None,
    search: FolderSearch,
    *,
    ends_with_null: bool,
    offline: bool,
) -> Iterator[FoundFile]:
    if argument != STDIN:
        yield from _expand_path(argument, search, patterns=True)
        return
    if stdin is None:
        raise usage_error(
            "'-' was given, but there is no standard input to read paths from.",
            "Pipe a list of paths into the command, one a line.",
        )
    for path in read_paths(stdin, ends_with_null=ends_with_null):
        if is_address(path):
            check_address(path, offline=offline)
        yield from _expand_path(path, search, patterns=False)


def _expand_path(path: str, search: FolderSearch, *, patterns: bool) -> Iterator[FoundFile]:
    if "\0" in path:
        yield FoundFile(path)
    elif is_address(path):
        yield from _expand_address(path, search, patterns=patterns)
    elif os.path.isdir(path):  # noqa: PTH112 - Path() would rewrite the name that the user gave
        yield from search.folder(path)
    elif patterns and glob.has_magic(path) and not os.path.lexists(path):
        matches = sorted(glob.glob(path, recursive=True), key=natural_key)  # noqa: PTH207 - keeps the user's spelling
        for match in matches:
            yield from _expand_path(match, search, patterns=False)
        if not matches:
            yield FoundFile(path)
    else:
        yield from search.named_file(path)


def _expand_address(address: str, search: FolderSearch, *, patterns: bool) -> Iterator[FoundFile]:
    """Yield the objects of an address: of a folder those below it, in natural order."""
    if patterns and glob.has_magic(address):
        for match in match_addresses(address):
            yield from _expand_address(match, search, patterns=False)
        return
    is_empty = True
    for addresses in list_folders(address):
        for file in search.members(addresses):
            is_empty = False
            yield file
    if is_empty:
        yield from search.named_file(address)


def visible_files(folder: Path, wanted: Callable[[Path], bool]) -> list[str]:
    """Return selected files below a folder, relative to it, in natural order.

    Hidden files and hidden folders are left out; links to folders are followed.
    """
    found = []
    for parent, names in walk_folders(str(folder), lambda name: not name.startswith(".")):
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        found += [path.relative_to(folder).as_posix() for path in paths if wanted(path)]
    return sorted(found, key=natural_key)
