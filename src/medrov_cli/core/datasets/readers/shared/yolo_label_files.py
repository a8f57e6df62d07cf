"""Label files of YOLO images, and those that no image has.

A label file is where ultralytics looks for it (the last folder ``images`` of a path becomes ``labels``), or
beside its image. Letter case counts only where two files differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from medrov_cli.core.base.text_files import DocumentError, read_text
from medrov_cli.core.datasets.image_names import fold_name
from medrov_cli.core.datasets.readers.shared.raster_files import IMAGE_SUFFIXES
from medrov_cli.core.datasets.readers.shared.yolo_lines import is_label_text

_SUFFIX = ".txt"


class LabelFiles:
    """Label files of some images.

    Parameters
    ----------
    images
        Image files.
    """

    def __init__(self, images: Sequence[Path]) -> None:
        self._listed: dict[Path, dict[str, list[Path]]] = {}
        self._by_stem: dict[Path, dict[str, list[Path]]] = {}
        self._folders = {
            folder: self._label_folders(folder) for folder in dict.fromkeys(i.parent for i in images)
        }
        self.by_image = {image: self._label_of(image) for image in images}

    def without_image(self, known: Collection[Path]) -> list[Path]:
        """Return the files that have the form of labels and no image on the disk.

        Parameters
        ----------
        known
            Text files with another meaning.
        """
        used = {*self.by_image.values(), *known}
        images: dict[Path, set[str]] = {}
        for folder, places in self._folders.items():
            for place in places:
                images.setdefault(place, set()).update(self._image_stems(folder))
        return [
            file
            for place in sorted(images)
            for file in self._texts(place)
            if file not in used and fold_name(file.stem) not in images[place] and _is_label_file(file)
        ]

    def _label_of(self, image: Path) -> Path | None:
        """Return the label file of an image; None if there is none."""
        for folder in self._folders[image.parent]:
            fitting = self._texts_by_stem(folder).get(fold_name(image.stem), [])
            exact = [file for file in fitting if file.stem == image.stem]
            if fitting:
                return min(exact or fitting, key=lambda file: file.suffix != _SUFFIX)
        return None

    def _label_folders(self, images: Path) -> tuple[Path, ...]:
        """Return where the labels of a folder of images may be."""
        parts = images.parts
        at = max((number for number, part in enumerate(parts) if fold_name(part) == "images"), default=None)
        if at is None:
            return (images,)
        above, rest = Path(*parts[:at]), parts[at + 1 :]
        own = [path for path in above.iterdir() if path.is_dir() and fold_name(path.name) == "labels"]
        own.sort(key=lambda path: (path.name != "labels", path.name))
        return (*(path.joinpath(*rest) for path in own), images)

    def _texts(self, folder: Path) -> list[Path]:
        return self._by_suffix(folder).get(_SUFFIX, [])

    def _texts_by_stem(self, folder: Path) -> dict[str, list[Path]]:
        """Return the text files of a folder by their stem as it is compared."""
        if folder not in self._by_stem:
            found: dict[str, list[Path]] = {}
            for path in self._texts(folder):
                found.setdefault(fold_name(path.stem), []).append(path)
            self._by_stem[folder] = found
        return self._by_stem[folder]

    def _image_stems(self, folder: Path) -> set[str]:
        files = self._by_suffix(folder).items()
        return {fold_name(path.stem) for suffix, paths in files if suffix in IMAGE_SUFFIXES for path in paths}

    def _by_suffix(self, folder: Path) -> dict[str, list[Path]]:
        """Return the visible files of a folder by their suffix in lower case; each folder is listed once."""
        if folder not in self._listed:
            found: dict[str, list[Path]] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path.is_file() and not path.name.startswith("."):
                    found.setdefault(fold_name(path.suffix), []).append(path)
            self._listed[folder] = found
        return self._listed[folder]


def _is_label_file(file: Path) -> bool:
    """Tell whether a file has the form of labels, or cannot be read."""
    try:
        return is_label_text(read_text(file))
    except (OSError, DocumentError):
        return True
