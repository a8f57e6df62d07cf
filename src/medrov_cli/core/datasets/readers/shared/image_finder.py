"""The image file that an annotation file means, below the folders of images.

A file is found at its stated path. Otherwise the end of the path counts: of the files of that name, the one
whose folders agree with the most of the path's last folders. Letter case and the composition of characters
are compared last, because Windows and macOS ignore them. Two files that fit equally are an error, and no file
outside the folders is read.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import is_file, is_folder
from medrov_cli.core.datasets.image_names import address_readings, fold_name, leaves_folder
from medrov_cli.core.datasets.readers.shared.raster_files import raster_files
from medrov_cli.core.datasets.split_names import strongest_split
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.settings.choices import Split

_HINT = "Give --images, the folder with the file names of the annotations."


class ImageFinder:
    """The image files below some folders.

    Parameters
    ----------
    folders
        In the order in which a path is looked up.
    base
        Folder of the annotation file, to which a path may be relative.
    """

    def __init__(self, *folders: Path, base: Path | None = None) -> None:
        self.folders = tuple(dict.fromkeys(folders))
        self._base = base

    def find(self, *addresses: str) -> Path:
        """Return the file of the first address that has one.

        Raises
        ------
        MedrovError
            ``NOT_FOUND``: there is no file, or several fit; ``BAD_METADATA``: all readings lead out of the
            folders.
        """
        readings = list(dict.fromkeys(path for own in addresses for path in address_readings(own)))
        for reading in readings:
            exact = self._exact(reading)
            if exact is not None:
                return exact
        inside = [reading for reading in readings if not leaves_folder(reading)]
        if readings and not inside:
            raise MedrovError(
                ErrorCode.BAD_METADATA,
                "The file name leads out of the folder of images.",
                "Correct the file name.",
            )
        return self._unique([own for reading in inside for own in self._scored(reading, by_stem=False)])

    def find_each(self, addresses: Sequence[str]) -> list[Path | MedrovError]:
        """Return the file of each address, or why there is none.

        A file that several addresses lead to belongs to the one that states its path; see `settle_claims`.
        """
        found: list[Path | MedrovError] = []
        for address in addresses:
            try:
                found.append(self.find(address))
            except MedrovError as error:
                found.append(error)
        return settle_claims(found, [address_readings(own)[:1] for own in addresses])

    def find_beside(self, file: str, name: str) -> Path:
        """Return the image of an annotation file: of the name that it states, else of its own stem.

        Parameters
        ----------
        file
            Path of the annotation file, relative to the folder of all of them: its folders count as those of
            the name.
        name
            The stated path or name; may be empty.

        Raises
        ------
        MedrovError
            See `find`.
        """
        place = PurePosixPath(file)
        is_relative = not re.match(r"[\\/]|[A-Za-z][\w+.-]*:", name)
        try:
            return self.find(*([f"{place.parent}/{name}"] if name and is_relative else []), name)
        except MedrovError as error:
            try:
                return self._unique(self._scored(place.with_suffix("").as_posix(), by_stem=True))
            except MedrovError:
                raise error from None

    def unused(self, used: Iterable[Path]) -> tuple[str, ...]:
        """Return the image files, relative to their folder, that are not among the used ones."""
        known = {Path(os.path.normpath(path.absolute())) for path in used}
        left = {name for path, name in self._files.items() if path not in known}
        return tuple(sorted(left, key=natural_key))

    def place_of(self, path: Path) -> str:
        """Return the path of a found file relative to its folder, with forward slashes."""
        for folder in self.folders:
            own = Path(os.path.normpath(folder.absolute()))
            if path.is_relative_to(own):
                return path.relative_to(own).as_posix()
        return path.name

    def _exact(self, reading: str) -> Path | None:
        """Return the file at a path, if it is below one of the folders."""
        for base in (*self.folders, *([] if self._base is None else [self._base])):
            path = Path(os.path.normpath(base.absolute() / reading))
            is_inside = any(path.is_relative_to(os.path.normpath(own.absolute())) for own in self.folders)
            if is_inside and is_file(path):
                return path
        return None

    @cached_property
    def _files(self) -> dict[Path, str]:
        """All image files by absolute path, with their relative name."""
        return {
            Path(os.path.normpath(folder.absolute() / name)): name
            for folder in reversed(self.folders)
            if is_folder(folder)
            for name in raster_files(folder)
        }

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        table: dict[str, list[Path]] = defaultdict(list)
        for path in self._files:
            table[fold_name(path.name)].append(path)
        return table

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        table: dict[str, list[Path]] = defaultdict(list)
        for path in self._files:
            table[fold_name(path.stem)].append(path)
        return table

    def _scored(self, reading: str, *, by_stem: bool) -> list[tuple[tuple[int, int], Path]]:
        """Return the files of a name, each with the folded and the equal parts at the end of its path."""
        wanted = [part for part in reading.split("/") if part]
        table = self._by_stem if by_stem else self._by_name
        scored = []
        for path in table.get(fold_name(wanted[-1]), ()) if wanted else ():
            parts = [*path.parts[:-1], path.stem if by_stem else path.name]
            folded = _common_end([fold_name(own) for own in parts], [fold_name(own) for own in wanted])
            scored.append(((folded, _common_end(parts, wanted)), path))
        return scored

    def _unique(self, scored: Sequence[tuple[tuple[int, int], Path]]) -> Path:
        best = max((score for score, _ in scored), default=None)
        fitting = sorted({path for score, path in scored if score == best})
        if len(fitting) != 1:
            what = "The image of the annotations is missing."
            if fitting:
                names = " and ".join(self._files[path] for path in fitting[:2])
                what = f"Several files fit the file name: {names}."
            raise MedrovError(ErrorCode.NOT_FOUND, what, _HINT)
        return fitting[0]


def _common_end(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many last parts two paths have in common."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def settle_claims(
    found: Sequence[Path | MedrovError], places: Sequence[Sequence[str]]
) -> list[Path | MedrovError]:
    """Return the files of some records, each file for one record at most.

    Parameters
    ----------
    found
        The file of each record, or why there is none.
    places
        Paths that each record states, with or without a suffix. Of the records of one file, the one that
        agrees with the most last parts of its path keeps it; the others get ``NOT_FOUND``.
    """
    settled = list(found)
    for numbers, best in _claims(found, places):
        for number in set(numbers) - (set(best) if len(best) == 1 else set()):
            settled[number] = MedrovError(
                ErrorCode.NOT_FOUND, "Another record has the only file of this name.", _HINT
            )
    return settled


def weaker_claims(
    found: Sequence[Path | MedrovError], places: Sequence[Sequence[str]], splits: Sequence[Split | None]
) -> set[int]:
    """Return the records whose file belongs to a record of a stronger split, which agrees with it as much.

    Parameters
    ----------
    found, places
        See `settle_claims`.
    splits
        Split of each record.
    """
    weaker: set[int] = set()
    for _, best in _claims(found, places):
        strongest = strongest_split(splits[number] for number in best)
        weaker.update(number for number in best if splits[number] != strongest)
    return weaker


def _claims(
    found: Sequence[Path | MedrovError], places: Sequence[Sequence[str]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the records of each file, and those of them that agree the most with its path."""
    claims: dict[Path, list[int]] = defaultdict(list)
    for number, path in enumerate(found):
        if isinstance(path, Path):
            claims[path].append(number)
    for path, numbers in claims.items():
        ranks = {
            number: max((_agreement(path, own) for own in places[number]), default=(False, 0))
            for number in numbers
        }
        yield numbers, [number for number, rank in ranks.items() if rank == max(ranks.values())]


def _agreement(path: Path, place: str) -> tuple[bool, int]:
    """Return whether a file's path ends with a place (the suffix may lack), and how many parts agree."""
    wanted = [part for part in place.split("/") if part]
    count = max(_common_end(path.parts, wanted), _common_end([*path.parts[:-1], path.stem], wanted))
    return count == len(wanted), count
