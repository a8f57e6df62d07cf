"""Search of folders and archives for images, and of second copies among them."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.archive_kinds import has_archive_name, is_unreadable_archive
from medrov_cli.core.pixels.archives import open_archive, split_member
from medrov_cli.core.pixels.folder_walk import walk_folders
from medrov_cli.core.pixels.found_files import FoundFile, SkippedFile
from medrov_cli.core.pixels.names import is_shown, natural_key
from medrov_cli.core.pixels.sniff import Kind, kind_of_name, sniff, sniff_head
from medrov_cli.core.pixels.source import is_archive, read_head

SAME_UID_WARNING = (
    "Another file has the same SOP Instance UID, but other pixels or another position; both were kept."
)


PicturesIn: TypeAlias = Callable[[str, Sequence[str]], Iterable[str]]


class FolderSearch:
    """Search of folders and archives.

    Parameters
    ----------
    limits
        Of archives.
    pictures_in
        Function of a folder and the names of its files to the paths of folders in it with pictures of
        results, which are skipped; null: none.

    Attributes
    ----------
    skipped
        Files that were not yielded although they belong to a study.
    """

    def __init__(self, limits: InputLimits, pictures_in: PicturesIn | None = None) -> None:
        self._limits = limits
        self._pictures_in = pictures_in
        self.skipped: list[SkippedFile] = []

    def named_file(self, path: str) -> Iterator[FoundFile]:
        """Yield a file that the user named; the images in it if it is an archive."""
        try:
            is_file = os.path.isfile(path)  # noqa: PTH113 - called for each name of a list
            is_searched = (is_file or split_member(path) is not None) and is_archive(path, self._limits)
        except (OSError, MedrovError):
            is_searched = False
        if is_searched:
            yield from self.archive(path)
        else:
            yield FoundFile(path)

    def folder(self, folder: str) -> Iterator[FoundFile]:
        """Yield the image files below a folder; the folder itself if there are none."""
        empty = True
        pictures: set[str] = set()
        for parent, names in walk_folders(folder, is_shown):
            if self._pictures_in is not None:
                pictures.update(self._pictures_in(parent, names))
            if parent in pictures:
                self.skipped.append(SkippedFile(parent, "pictures of the detection run beside it"))
            if _is_below(parent, folder, pictures):
                continue
            files = sorted((name for name in names if is_shown(name)), key=natural_key)
            for found in self._ordered([os.path.join(parent, name) for name in files]):  # noqa: PTH118
                empty = False
                yield found
        if empty:
            yield FoundFile(folder)

    def archive(self, path: str) -> Iterator[FoundFile]:
        """Yield the image files in an archive; the archive itself if there are none or it cannot be read."""
        empty = True
        try:
            archive = open_archive(path, self._limits)
            names, broken = archive.names, archive.broken_links
        except (OSError, MedrovError):
            names = broken = ()
        self.skipped += [
            SkippedFile(f"{path}/{name}", "a link to a file that is not in the archive")
            for name in itertools.chain.from_iterable(_by_folder(broken))
        ]
        for folder in _by_folder(names):
            for found in self._ordered([f"{path}/{name}" for name in folder]):
                empty = False
                yield found
        if empty:
            yield FoundFile(path)

    def members(self, paths: Sequence[str]) -> Iterator[FoundFile]:
        """Yield images that were retrieved together, each series in the order of its slices."""
        yield from self._ordered(paths)

    def _ordered(self, paths: Sequence[str]) -> list[FoundFile]:
        """Return the image files of one folder, with each DICOM series in the order of its slices."""
        kinds = {path: self._kind(path) for path in paths}
        series_at = self._series([path for path in paths if kinds[path] is Kind.DICOM])
        ordered: list[FoundFile] = []
        for path in paths:
            if kinds[path] is Kind.DICOM:
                ordered.extend(series_at.get(path, ()))
            elif kinds[path]:
                ordered.append(FoundFile(path))
            elif has_archive_name(path) and self._is_archive(path):
                ordered.extend(self.archive(path))
        return ordered

    def _series(self, paths: Sequence[str]) -> Mapping[str, list[FoundFile]]:
        """Return the series of DICOM files, each at its first path, and skip objects that are no images."""
        if not paths:
            return {}
        from medrov_cli.core.pixels.dicom.series import group_series, read_place

        places = [read_place(path, self._limits) for path in paths]
        self.skipped += [SkippedFile(place.path, place.skip_reason) for place in places if place.skip_reason]
        rank = {path: number for number, path in enumerate(paths)}
        found = {}
        for series in group_series([place for place in places if not place.skip_reason]):
            members = tuple(place.path for place in series)
            if all(place.slide_width for place in series):
                finest = max(series, key=lambda place: place.slide_width)
                found[min(members, key=rank.__getitem__)] = [
                    FoundFile(finest.path, members, finest.instance_uid, finest.key)
                ]
                self.skipped += [
                    SkippedFile(path, f"a part or a coarser level of the slide {finest.path}")
                    for path in members
                    if path != finest.path
                ]
                continue
            first = min(members, key=rank.__getitem__)
            found[first] = [
                FoundFile(place.path, members, place.instance_uid, place.key, placed=place.placed)
                for place in series
            ]
        return found

    def _kind(self, path: str) -> Kind | None:
        """Return the kind by content, else by name; null for a special file (pipe, device)."""
        head = b""
        try:
            is_file = Path(path).is_file()
            if is_file and (kind := sniff(path)) is not None:
                return kind
            if is_file or split_member(path) is not None:
                head = read_head(path, self._limits)
        except (OSError, MedrovError):
            pass
        if is_unreadable_archive(head):
            self.skipped.append(SkippedFile(path, "an archive in a format that is not read"))
        return sniff_head(head) or kind_of_name(path)

    def _is_archive(self, path: str) -> bool:
        try:
            return is_archive(path, self._limits)
        except (OSError, MedrovError):
            return False

    def without_copies(
        self, files: Iterable[FoundFile], copies: Iterable[Sequence[FoundFile]]
    ) -> Iterator[FoundFile]:
        """Yield the files without second copies of a DICOM instance, which are skipped.

        Files with one SOP Instance UID and different pixels or places are kept, with a warning.

        Parameters
        ----------
        files
            All files.
        copies
            The files of each SOP Instance UID that several have.
        """
        dropped: set[str] = set()
        marked: set[str] = set()
        for same in copies:
            kept: list[FoundFile] = []
            for file in same:
                original = self._original(file, kept)
                if original is None:
                    kept.append(file)
                else:
                    dropped.add(file.path)
                    self.skipped.append(SkippedFile(file.path, f"a copy of the instance in {original}"))
            marked |= {file.path for file in kept} if len(kept) > 1 else set()
        for file in files:
            if file.path not in dropped:
                yield _without(file, dropped, (SAME_UID_WARNING,) if file.path in marked else ())

    def _original(self, file: FoundFile, kept: Iterable[FoundFile]) -> str | None:
        from medrov_cli.core.pixels.dicom.copies import is_same_image

        for one in kept:
            if one.place == file.place and is_same_image(one.path, file.path, self._limits):
                return one.path
        return None


def _is_below(path: str, top: str, folders: Collection[str]) -> bool:
    """Return whether a path below ``top`` is one of some folders, or below one."""
    while folders and len(path) > len(top):
        if path in folders:
            return True
        path = os.path.dirname(path)  # noqa: PTH120 - the user's spelling
    return False


def _without(file: FoundFile, dropped: set[str], warnings: tuple[str, ...]) -> FoundFile:
    """Return a file with warnings, without dropped files in its series."""
    if not warnings and not dropped:
        return file
    series = tuple(path for path in file.series if path not in dropped)
    return replace(file, series=series, warnings=(*file.warnings, *warnings))


def _by_folder(names: Iterable[str]) -> list[list[str]]:
    """Return the shown names of an archive by folder, each in natural order, as a folder is walked."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if all(is_shown(part) for part in name.split("/")):
            folders[PurePosixPath(name).parent.as_posix()].append(name)
    order = sorted(folders, key=lambda folder: [natural_key(part) for part in folder.split("/")])
    return [sorted(folders[folder], key=natural_key) for folder in order]
