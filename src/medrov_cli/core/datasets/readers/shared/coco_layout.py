"""Where COCO files and their images are in the folders that programs write.

Known layouts: ``annotations.json`` beside ``images/``; Roboflow's ``_annotations.coco.json`` in a folder for
each split; FiftyOne's ``labels.json`` beside ``data/``; COCO's and CVAT's ``annotations/instances_*.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.datasets.image_names import address_readings
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder, settle_claims, weaker_claims
from medrov_cli.core.datasets.sources import ANNOTATIONS
from medrov_cli.core.datasets.split_names import split_in_file_name
from medrov_cli.core.pixels.inputs import visible_files
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.settings.choices import Split

_ROBOFLOW = "_annotations.coco.json"
_FIFTYONE = "labels.json"
_INSTANCES = "instances_"


@dataclass(frozen=True, slots=True)
class CocoFile:
    """One COCO file of an input.

    Attributes
    ----------
    path
        The file.
    folders
        Folders of its images, in the order in which a file name is looked up.
    split
        The split that the name of the file or of its folder states.
    """

    path: Path
    folders: tuple[Path, ...]
    split: Split | None

    def name_below(self, root: Path) -> str:
        """Return the folder of the file below an input, or its name where the folder is not its own."""
        relative = self.path.relative_to(root)
        has_own = relative.parent.name and relative.name.startswith("_")
        return f"{(relative.parent if has_own else relative.with_suffix('')).as_posix()}/"


def coco_files(path: Path, images: Path | None) -> tuple[CocoFile, ...]:
    """Return the COCO files of an input; the default name, which may not exist, if a folder has none."""
    files = _files_in(path) if path.is_dir() else [path]
    return tuple(
        CocoFile(
            file, _folders_of(file) if images is None else (images,), split_in_file_name(file.absolute())
        )
        for file in files
    )


def _files_in(folder: Path) -> list[Path]:
    for name in (ANNOTATIONS, _ROBOFLOW, _FIFTYONE):
        if (folder / name).is_file():
            return [folder / name]
    found = [folder / name for name in visible_files(folder, lambda path: path.name == _ROBOFLOW)]
    if found:
        return found
    for place in (folder / "annotations", folder):
        files = sorted(place.glob("*.json"), key=lambda path: natural_key(path.name))
        instances = [file for file in files if file.name.startswith(_INSTANCES)]
        if instances or len(files) == 1:
            return instances or files
    return [folder / ANNOTATIONS]


def _folders_of(file: Path) -> tuple[Path, ...]:
    """Return the folders of images of a file: the nearest ones with a known name, else its own folder."""
    own = file.parent
    part = file.stem.removeprefix(_INSTANCES)
    bases = [own, own.parent] if own.name.casefold() == "annotations" else [own]
    for base in bases:
        named = [base / "images" / part, base / part, base / "images", base / "data"]
        found = tuple(folder for folder in named if folder.is_dir() and folder != own)
        if found:
            return found
    return (bases[-1],)


def find_images(
    finders: Sequence[ImageFinder], names: Sequence[Sequence[str]], splits: Sequence[Split | None]
) -> tuple[list[Path | MedrovError], set[int]]:
    """Return the image of each record of some COCO files, each image for one record at most.

    The files may share a folder of images. An image belongs to the record of the folder that it is in, else
    to the record of the strongest split.

    Parameters
    ----------
    finders, names
        For each COCO file, the finder of its images, and the file names of its records.
    splits
        Split of each record, in the order of all names.

    Returns
    -------
    found, left
        The image of each record, or why there is none; the records whose image one of a stronger split has.
    """
    found: list[Path | MedrovError] = []
    places: list[list[str]] = []
    for finder, own in zip(finders, names, strict=True):
        found += finder.find_each(own)
        folders = [folder.absolute().name for folder in finder.folders]
        for name in own:
            paths = address_readings(name)[:1]
            places.append([*paths, *(f"{folder}/{path}" for folder in folders for path in paths)])
    left = weaker_claims(found, places, splits)
    kept = [number for number in range(len(found)) if number not in left]
    settled = settle_claims([found[number] for number in kept], [places[number] for number in kept])
    for number, path in zip(kept, settled, strict=True):
        found[number] = path
    return found, left
